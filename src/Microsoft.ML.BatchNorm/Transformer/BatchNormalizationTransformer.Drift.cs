using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

public sealed partial class BatchNormalizationTransformer
{
    /// <summary>
    /// Tells how far new data is from what the statistics hold, channel by channel: in one pass, and memory that does
    /// not grow with the rows. Nothing moves; to move the statistics on, call <see cref="FineTune"/>.
    /// </summary>
    /// <remarks>
    /// Each column's p-values are corrected for the number of its own channels, which are named by the slots. A row
    /// that the mask column hides does not count, where the data has that column. With averages and pretrained
    /// statistics, the number of training values is not known, and the statistics are taken as exact
    /// (<see cref="DriftReport.HasTrainingCounts"/>).
    /// </remarks>
    /// <param name="data">
    /// The rows that go into this transformer. What comes out of it, in a column that takes the input's place, is an
    /// error.
    /// </param>
    /// <returns>A report a column, by the name of the output column.</returns>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A column is missing, is of another type or size, or is marked as normalized where the one that the layer was
    /// fitted to was not.
    /// </exception>
    /// <exception cref="OperationCanceledException">The context was cancelled.</exception>
    /// <exception cref="InvalidOperationException">
    /// A value is not finite and the options do not ignore it, or the data has no rows.
    /// </exception>
    public IReadOnlyDictionary<string, DriftReport> CompareStatistics(IDataView data)
    {
        Host.CheckValue(data, nameof(data));
        ColumnFit[] fits = Array.ConvertAll(columns, column => ColumnFit.Of(Host, data.Schema, Compared(column)));
        DataViewSchema.Column? mask = MaskIn(data.Schema);
        var engine = new DriftEngine(Settings.NumberOfThreads ?? Environment.ProcessorCount);
        using (IChannel channel = Host.Start(nameof(CompareStatistics)))
            new StatisticsFitter(Host, channel, Settings with { Engine = engine }).Run(data, fits, mask);
        return columns.Zip(fits, engine.Statistics).ToDictionary(
            each => each.First.OutputColumnName,
            each => each.Third.Compare(ChannelNames.Of(each.Second.Column, each.Second.Layout)));
    }

    /// <summary>The mask column, where there is one and the data has it.</summary>
    internal DataViewSchema.Column? MaskIn(DataViewSchema schema) =>
        Settings.MaskColumnName is { } name && schema.GetColumnOrNull(name) is not null
            ? MaskColumn.Find(Host, schema, name)
            : null;

    /// <summary>A layer that is read as one whose exact statistics are fitted, frozen or not.</summary>
    static BatchNormalizationEstimator.Layer Compared(BatchNormalizationColumn column) => new(
        column.OutputColumnName, column.InputColumnName,
        BatchNormalizationEstimator.Filled(new() { Axis = column.Axis, NonFinite = column.Options.NonFinite }),
        column.State, column.Input);
}
