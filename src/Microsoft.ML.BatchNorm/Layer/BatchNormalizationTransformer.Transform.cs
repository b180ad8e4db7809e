using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

// ITransformer is named again for its Transform to be the one of this class.
public sealed partial class BatchNormalizationTransformer : ITransformer
{
    /// <summary>
    /// The data with the normalized columns appended. Nothing is computed until a cursor's getter asks for it.
    /// </summary>
    /// <remarks>
    /// Where <see cref="BatchNormalizationEstimator.Options.WarnOnDrift"/> was set, a cursor that reads a normalized
    /// column to the end of the data samples the rows, and the view warns once if they have drifted. A column that is
    /// marked as normalized, where the layer was fitted to one that was not, is a warning too.
    /// </remarks>
    /// <param name="input">Data with every input column.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// An input column is missing, or is of another type or size.
    /// </exception>
    public new IDataView Transform(IDataView input)
    {
        Host.CheckValue(input, nameof(input));
        WarnOfNormalized(input.Schema);
        var bindings = new ColumnBindings(input.Schema, MakeRowMapper(input.Schema).GetOutputColumns());
        return new NormalizedDataView(Host, this, MakeDataTransform(input), bindings);
    }

    void WarnOfNormalized(DataViewSchema schema)
    {
        string[] marked =
        [
            .. columns.Where(column => column.Input is { IsNormalized: false })
                .Select(column => column.InputColumnName)
                .Where(name => schema.GetColumnOrNull(name)?.IsNormalized() == true),
        ];
        if (marked.Length == 0)
            return;
        using IChannel channel = Host.Start(nameof(Transform));
        foreach (string name in marked)
        {
            channel.Warning(
                $"Column '{name}' is marked as normalized, and the layer was fitted to one that was not: its values " +
                "are normalized a second time. Pass the data that goes into the transformer.");
        }
    }
}
