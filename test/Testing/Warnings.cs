using Microsoft.ML.Runtime;

namespace Microsoft.ML.BatchNorm.Testing;

static class Warnings
{
    /// <summary>A list that grows by each warning of batch normalization that a context logs.</summary>
    public static List<string> Of(MLContext context)
    {
        List<string> warnings = [];
        context.Log += (_, log) =>
        {
            if (log.Kind == ChannelMessageKind.Warning)
                warnings.Add(log.RawMessage);
        };
        return warnings;
    }
}
