using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>Tells that what was to move is frozen.</summary>
static class FrozenColumns
{
    public static void Warn(IChannelProvider provider, IEnumerable<BatchNormalizationColumn> columns)
    {
        using IChannel channel = provider.Start("Fine-tuning");
        foreach (BatchNormalizationColumn column in columns)
        {
            channel.Warning(column.Options.Trainable
                ? $"Column '{column.OutputColumnName}' has {nameof(BatchNormalizationOptions.UpdateStatistics)} off: " +
                    "its statistics stay as they are."
                : $"Column '{column.OutputColumnName}' is frozen: its statistics stay as they are. " +
                    $"Unfreeze(\"{column.OutputColumnName}\") gives a transformer whose statistics move.");
        }
    }
}
