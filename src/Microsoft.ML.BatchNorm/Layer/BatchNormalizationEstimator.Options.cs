using System.Text.Json.Serialization;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

public sealed partial class BatchNormalizationEstimator
{
    /// <summary>The columns, their layer, and how the estimator fits it.</summary>
    public sealed class Options
    {
        /// <summary>The pairs of output and input columns; at least one.</summary>
        [JsonIgnore]
        public InputOutputColumnPair[] Columns { get; set; } = [];

        /// <summary>
        /// The options of each column's layer. Default: options that leave everything unset.
        /// </summary>
        /// <remarks>
        /// The estimator fills in what they leave unset. By default that is
        /// <see cref="MovingStatistics.Population"/> with an ε of 0; its result does not depend on
        /// <see cref="BatchSize"/>, <see cref="Epochs"/> and <see cref="Shuffle"/>. If you set a momentum,
        /// renormalization or <see cref="MovingStatistics.Exponential"/>, it is an average of batches with Keras's ε of
        /// 1e-3. If you go on from a transformer, unset options are as they were there, with one exception: an average
        /// that goes on from exact statistics with an ε of 0 gets Keras's ε. With exact statistics and an ε of 0, a
        /// channel whose deviation is below a millionth of its mean's absolute value counts as constant and becomes β.
        /// Any ε above 0 normalizes such a channel like all others.
        /// </remarks>
        [JsonIgnore]
        public BatchNormalizationOptions Layer { get; set; } = new();

        /// <summary>
        /// The channel axis, with the batch as dimension 0; a negative axis counts from the end. 1 is C of a column of
        /// dimensions <c>[C, H, W]</c>, 3 or −1 is C of <c>[H, W, C]</c>, 2 is C of <c>[1, C, H, W]</c>. Null takes
        /// <see cref="BatchNormalizationOptions.Axis"/> of the layer, which counts in the same way. If that is null
        /// too, the column's dimensions decide (<see cref="BatchNormalizationEstimator"/>). Default: null.
        /// </summary>
        [JsonIgnore]
        public int? Axis { get; set; }

        /// <summary>
        /// The number of rows in a batch of an average; at least 1. A last batch of one row is joined to the batch
        /// before it. A batch of 1 is an error if a row has one value per channel, since the variance would be 0. A fit
        /// warns if it averages the variances of batches with fewer than 20 values per channel: the average is more
        /// than 5 % too small (with <see cref="VarianceConvention.Sample"/> it is not). Default: 256.
        /// </summary>
        public int BatchSize { get; set; } = 256;

        /// <summary>
        /// The number of passes over the data for an average; at least 1. A population takes one pass. Default: 1.
        /// </summary>
        public int Epochs { get; set; } = 1;

        /// <summary>
        /// Whether each epoch of an average takes the rows in another order. If the view can shuffle its rows, it does.
        /// Then rows are drawn from a pool of 4096 rows; with over 1024 values per row the pool has fewer rows, namely
        /// 4 million values in all, and at least 64 rows. A population does not depend on the order and is not
        /// shuffled. Default: false.
        /// </summary>
        public bool Shuffle { get; set; }

        /// <summary>The seed of the shuffle; null takes one from the context. Default: null.</summary>
        public int? Seed { get; set; }

        /// <summary>
        /// A <see cref="bool"/> column. Rows where it is false do not count in the statistics. Such a row may hold
        /// values that are not finite: they come out unchanged, and the row's other values are normalized. Null counts
        /// all rows. Only a fit needs the column; if data to be transformed lacks it, all rows count. Default: null.
        /// </summary>
        public string? MaskColumnName { get; set; }

        /// <summary>
        /// Which statistics normalize the data that estimators further down the chain are trained on. Default:
        /// <see cref="DownstreamStatistics.Moving"/>.
        /// </summary>
        public DownstreamStatistics TrainDownstreamOn { get; set; }

        /// <summary>
        /// Whether the transformer checks, while it transforms a view, if the rows have drifted from its statistics. It
        /// warns at most once per view. This option is stored with the model. Default: false.
        /// </summary>
        /// <remarks>
        /// The first pass over the view that is read to its end and disposed of is checked, and another pass whenever
        /// some 65,000 rows have gone by. The check takes a sample that is spread evenly over the rows: between 32 and
        /// 64 rows of a view of up to 32,768, one row in 512 of a longer view, and between 128 and 256 rows from
        /// 131,072 on. If a row has over 128 values the sample has fewer rows: 32,768 values in all, and at least 8
        /// rows. The tests of mean and variance are those of
        /// <see cref="BatchNormalizationTransformer.CompareStatistics"/>; the shape is not tested. A pass over rows
        /// like those in training warns with a probability of at most 0.1 %. A row that the mask column hides does not
        /// count. Rows that go through a prediction engine are not checked.
        /// </remarks>
        public bool WarnOnDrift { get; set; }

        /// <summary>
        /// Whether the fit also counts, per channel, how its values are distributed
        /// (<see cref="BatchNormalizationState.GetHistograms"/>). Then
        /// <see cref="BatchNormalizationTransformer.CompareStatistics"/> finds a changed shape of equal mean and
        /// variance and a changed share of missing values, and its page shows both distributions. The option is stored
        /// with the model. Default: false.
        /// </summary>
        /// <remarks>
        /// The fit reads the data a second time, since the bins follow from the exact statistics of the first pass
        /// (<see cref="ChannelHistograms"/>). The counts take 800 bytes per channel in memory and in the model. They
        /// are the same for any order, number of threads, engine and number of processes. A fit that goes on from
        /// histograms keeps their bins and adds its rows, whether or not it has this option. Only exact statistics
        /// have histograms: with an average this option is an error, since an average forgets earlier rows.
        /// </remarks>
        [JsonIgnore]
        public bool KeepHistograms { get; set; }

        /// <summary>What a file has: nothing if the option is off.</summary>
        [JsonInclude]
        [JsonPropertyName("keepHistograms")]
        internal bool? SavedKeepHistograms
        {
            get => KeepHistograms ? true : null;
            set => KeepHistograms = value ?? false;
        }

        /// <summary>
        /// How many threads may work; null for one per processor. If all columns are plain vectors of 8 to 1024 slots,
        /// with exact statistics from an engine that takes them (<see cref="IStatisticsFit.TakesStatistics"/>, as the
        /// default engine does), the fit asks the data for a set of as many cursors, at most 64, and reads each on a
        /// thread of its own. Otherwise it adds one batch while it reads the next, on two threads. The result has the
        /// same bits for any number of threads. Default: null.
        /// </summary>
        [JsonIgnore]
        public int? NumberOfThreads { get; set; }

        /// <summary>
        /// The engine that fits the statistics. Null for this process's threads, or for the GPU that
        /// <see cref="MLContext.GpuDeviceId"/> names. Default: null.
        /// </summary>
        [JsonIgnore]
        public IStatisticsEngine? Engine { get; set; }

        /// <summary>
        /// Cancels a fit within a batch, with an <see cref="OperationCanceledException"/>; nothing is left behind. The
        /// fitted transformer does not keep the token. Default: none.
        /// </summary>
        [JsonIgnore]
        public CancellationToken CancellationToken { get; set; }

        internal Options Copy() => (Options)MemberwiseClone();

        /// <summary>What a fitted transformer keeps: how it is fitted on. Its columns have their own options.</summary>
        internal Options WithoutColumns()
        {
            Options kept = Copy();
            (kept.Columns, kept.Layer, kept.Axis, kept.CancellationToken) = ([], new(), null, default);
            return kept;
        }

        /// <summary>Throws ML.NET's argument error if a value is out of range.</summary>
        internal void Check(IExceptionContext host)
        {
            host.CheckUserArg(BatchSize > 0, nameof(BatchSize), $"BatchSize must be positive, not {BatchSize}.");
            host.CheckUserArg(Epochs > 0, nameof(Epochs), $"Epochs must be positive, not {Epochs}.");
            host.CheckUserArg(
                NumberOfThreads is null or > 0, nameof(NumberOfThreads),
                $"NumberOfThreads must be positive or null, not {NumberOfThreads}.");
            host.CheckUserArg(
                Enum.IsDefined(TrainDownstreamOn), nameof(TrainDownstreamOn),
                $"TrainDownstreamOn must be {string.Join(" or ", Enum.GetNames<DownstreamStatistics>())}, not " +
                $"{TrainDownstreamOn}.");
        }

        /// <summary>The mask column's name; null without a mask, or if no layer moves and none is needed.</summary>
        internal string? NeededMask(IEnumerable<BatchNormalizationOptions> layers) =>
            layers.Any(layer => layer.MovesStatistics(training: true)) ? MaskColumnName : null;

        internal DataViewSchema.Column? FindMask(
            IExceptionContext host, DataViewSchema schema, IEnumerable<BatchNormalizationOptions> layers) =>
            NeededMask(layers) is { } name ? MaskColumn.Find(host, schema, name) : null;
    }

    static readonly BatchNormalizationOptions exact =
        BatchNormalizationOptions.Keras with { MovingStatistics = MovingStatistics.Population, Epsilon = 0 };

    /// <summary>
    /// Fills in what the options leave unset: from <paramref name="previous"/>, or else with the estimator's defaults.
    /// A momentum or renormalization asks for the average that it belongs to.
    /// </summary>
    internal static BatchNormalizationOptions Filled(
        BatchNormalizationOptions layer, BatchNormalizationOptions? previous = null)
    {
        if (layer is { MovingStatistics: null } and not { Momentum: null, Renorm: null })
            layer = layer with { MovingStatistics = MovingStatistics.Exponential };
        BatchNormalizationOptions own = layer.MovingStatistics is null or MovingStatistics.Population
            ? exact
            : BatchNormalizationOptions.Keras;
        if (previous is null)
            return layer.Or(own);
        // An average that goes on from exact statistics gets the ε of an average.
        bool becomesAverage = previous is { MovingStatistics: MovingStatistics.Population, Epsilon: 0 }
            && layer.MovingStatistics is { } kind and not MovingStatistics.Population
            && previous.MovesStatistics(training: true) && layer.MovesStatistics(training: true);
        return layer.Or(becomesAverage ? previous with { Epsilon = own.Epsilon } : previous);
    }
}

/// <summary>Which statistics normalize the data that the estimators further down a chain are trained on.</summary>
public enum DownstreamStatistics
{
    /// <summary>The moving statistics, as at prediction time. The default.</summary>
    Moving,

    /// <summary>
    /// The statistics of each batch of consecutive rows itself, as training mode gives them to the next layers of a
    /// network. With a mask column they are those of the rows that it shows. Hidden rows are normalized with them too,
    /// and a batch in which all rows are hidden uses the moving statistics.
    /// </summary>
    /// <remarks>
    /// ML.NET asks each transformer of a chain for such data, but not a chain within a chain: estimators after an inner
    /// chain are trained on the moving statistics of the layers in it. Append to one chain instead.
    /// </remarks>
    Batch,
}

/// <summary>The column that leaves rows out of the statistics: a scalar <see cref="bool"/>.</summary>
static class MaskColumn
{
    const string Expected = "Boolean";

    public static void Check(IExceptionContext host, SchemaShape schema, string name)
    {
        if (!schema.TryFindColumn(name, out SchemaShape.Column column))
            throw host.ExceptSchemaMismatch("inputSchema", "mask", name);
        if (column.Kind != SchemaShape.Column.VectorKind.Scalar || column.ItemType != BooleanDataViewType.Instance)
            throw host.ExceptSchemaMismatch("inputSchema", "mask", name, Expected, column.GetTypeString());
    }

    public static DataViewSchema.Column Find(IExceptionContext host, DataViewSchema schema, string name)
    {
        DataViewSchema.Column column =
            schema.GetColumnOrNull(name) ?? throw host.ExceptSchemaMismatch("inputSchema", "mask", name);
        return column.Type == BooleanDataViewType.Instance
            ? column
            : throw host.ExceptSchemaMismatch("inputSchema", "mask", name, Expected, column.Type.ToString());
    }
}
