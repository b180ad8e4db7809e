using Microsoft.ML.BatchNorm;

namespace Microsoft.ML.Transforms;

public sealed partial class BatchNormalizationEstimator
{
    /// <summary>How the estimator fits, beside the columns' own options.</summary>
    public sealed class Options
    {
        /// <summary>The pairs of output and input columns; at least one.</summary>
        public InputOutputColumnPair[] Columns { get; set; } = [];

        /// <summary>
        /// The layer of each column. Default: options that say nothing.
        /// </summary>
        /// <remarks>
        /// What they leave unsaid is filled in: <see cref="MovingStatistics.Population"/>, whose result does not depend
        /// on <see cref="BatchSize"/>, <see cref="Epochs"/> and <see cref="Shuffle"/>, with an ε of 0. Where a momentum
        /// or renormalization is said, or <see cref="MovingStatistics.Exponential"/>, it is the average of batches with
        /// Keras's ε of 1e-3. Going on from a transformer, it is as it was there, but that an
        /// average which goes on from exact statistics with an ε of 0 has Keras's. With exact statistics and an ε of 0,
        /// a channel whose deviation is below a millionth of its mean's absolute value counts as constant, and is β;
        /// any ε above 0 normalizes it as it is.
        /// </remarks>
        public BatchNormalizationOptions Layer { get; set; } = new();

        /// <summary>
        /// The channel axis, with the batch as dimension 0, negative from the end: 1 is C of a column of dimensions
        /// <c>[C, H, W]</c>, 3 or −1 is C of <c>[H, W, C]</c>, 2 is C of <c>[1, C, H, W]</c>. Null takes
        /// <see cref="BatchNormalizationOptions.Axis"/> of the layer, which counts in the same way; where that is null
        /// too, the column's dimensions tell (<see cref="BatchNormalizationEstimator"/>). Default: null.
        /// </summary>
        public int? Axis { get; set; }

        /// <summary>
        /// The number of rows in a batch of an average; at least 1. A last batch of one row is added to the one before
        /// it. A batch of 1 is an error where a row has one value per channel, whose variance is 0; and a fit warns
        /// where the variances of batches of fewer than 20 values per channel are averaged, which is more than 5 % less
        /// than the variance (<see cref="VarianceConvention.Sample"/> is not). Default: 256.
        /// </summary>
        public int BatchSize { get; set; } = Defaults.BatchSize;

        /// <summary>
        /// The number of passes over the data for an average; at least 1. A population takes one. Default: 1.
        /// </summary>
        public int Epochs { get; set; } = Defaults.Epochs;

        /// <summary>
        /// Whether each epoch of an average takes the rows in another order. Where the view can shuffle itself, it
        /// does; then rows come from anywhere in a pool of 4096, or of fewer where rows have over 1024 values: of 4
        /// million values in all, and at least 64 rows. A population does not depend on the order, and is not
        /// shuffled. Default: false.
        /// </summary>
        public bool Shuffle { get; set; }

        /// <summary>The seed of the shuffle; null takes one from the context. Default: null.</summary>
        public int? Seed { get; set; }

        /// <summary>
        /// A <see cref="bool"/> column: rows where it is false do not count in the statistics. Such a row may hold
        /// values that are not finite: they come out as they went in, and the others are normalized. Null counts all.
        /// Only a fit needs the column; where data to be transformed lacks it, all rows count. Default: null.
        /// </summary>
        public string? MaskColumnName { get; set; }

        /// <summary>
        /// Which statistics normalize the data that estimators further down the chain are trained on. Default:
        /// <see cref="DownstreamStatistics.Moving"/>.
        /// </summary>
        public DownstreamStatistics TrainDownstreamOn { get; set; }

        /// <summary>
        /// Whether the transformer looks, while it transforms a view, if the rows have drifted from its statistics, and
        /// warns once a view. It is stored with the model. Default: false.
        /// </summary>
        /// <remarks>
        /// Checked is the first pass over the view that is read to its end and disposed, and another whenever some
        /// 65,000 rows have gone by, with a sample that is spread evenly over the rows: between 32 and 64 of a view of
        /// up to 32,768, one in 512 of a longer one, and between 128 and 256 from 131,072 on (fewer where a row has
        /// over 128 values, of 32,768 values in all, and at least 8). The test is that of
        /// <see cref="BatchNormalizationTransformer.CompareStatistics"/>, and a pass over rows like those in training
        /// warns with a probability of 0.1 % at most. A row that the mask
        /// column hides does not count. Rows that go through a prediction engine are not checked.
        /// </remarks>
        public bool WarnOnDrift { get; set; }

        /// <summary>
        /// How many threads may work; null for as many as there are processors. Where all columns are plain vectors of
        /// 8 to 1024 slots whose exact statistics this process computes, the data is asked for a set of as many
        /// cursors, 64 at most, each of which is read on a thread of its own. Otherwise a batch is added while the next
        /// is read, which takes two. The result has the same bits for any number. Default: null.
        /// </summary>
        public int? NumberOfThreads { get; set; }

        /// <summary>
        /// What fits the statistics. Null for this process's threads, or for the GPU that
        /// <see cref="MLContext.GpuDeviceId"/> names. Default: null.
        /// </summary>
        public IStatisticsEngine? Engine { get; set; }

        /// <summary>
        /// Cancels a fit within a batch, with an <see cref="OperationCanceledException"/>; nothing is left behind. The
        /// fitted transformer does not keep it. Default: none.
        /// </summary>
        public CancellationToken CancellationToken { get; set; }
    }

    static readonly BatchNormalizationOptions exact =
        BatchNormalizationOptions.Keras with { MovingStatistics = MovingStatistics.Population, Epsilon = 0 };

    /// <summary>
    /// The options with what they leave unsaid as it was before, or else as the estimator has it. A momentum or
    /// renormalization asks for the average that it belongs to.
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
        // An average that goes on from exact statistics has the ε of an average.
        bool becomesAverage = previous is { MovingStatistics: MovingStatistics.Population, Epsilon: 0 }
            && layer.MovingStatistics is { } kind and not MovingStatistics.Population
            && previous.MovesStatistics(training: true) && layer.MovesStatistics(training: true);
        return layer.Or(becomesAverage ? previous with { Epsilon = own.Epsilon } : previous);
    }

    internal static class Defaults
    {
        public const int BatchSize = 256;
        public const int Epochs = 1;
    }
}
