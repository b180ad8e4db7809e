using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Pipelines;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>Averages over batches whose own variances say little of the variance.</summary>
[TestClass]
public class SmallBatchTests
{
    /// <summary>1, 2, 3, 4 over and over: a variance of 1.25, and of 5/3 in the sample convention.</summary>
    static readonly float[][] rows = [.. Enumerable.Range(0, 400).Select(i => (float[])[1 + i % 4])];

    static readonly BatchNormalizationOptions Average = new() { Momentum = 0.5 };

    static IEnumerable<object[]> Averages =>
    [
        [MovingStatistics.Exponential, VarianceConvention.Population, 1, null!],
        [MovingStatistics.Exponential, VarianceConvention.Sample, 1, null!],
        [MovingStatistics.Cumulative, VarianceConvention.Population, 1, null!],
        [MovingStatistics.Cumulative, VarianceConvention.Population, 8, 1],
    ];

    [TestMethod]
    [DynamicData(nameof(Averages))]
    public void A_single_value_per_channel_and_batch_is_an_error(
        MovingStatistics moving, VarianceConvention convention, int batchSize, int? virtualBatchSize)
    {
        BatchNormalizationOptions layer = Average with
        {
            MovingStatistics = moving,
            VarianceConvention = convention,
            VirtualBatchSize = virtualBatchSize,
        };
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => Fits.Estimator(layer, batchSize).Fit(new UnreadableView(Fits.Vectors(rows))));
        StringAssert.Contains(error.Message, "column 'Y'");
        StringAssert.Contains(error.Message, "single value per channel and batch");
        StringAssert.Contains(error.Message, "BatchSize");
        Assert.IsTrue(error.IsMarked(), "The error is not ML.NET's.");
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Fits.Fit(View.Scalars(1f, 2f, 3f), layer, batchSize));
    }

    [TestMethod]
    public void So_it_is_where_an_average_goes_on()
    {
        BatchNormalizationTransformer fitted = Fits.Estimator(Average).Fit(Fits.Vectors(rows));
        var column = new BatchNormalizationTransformer(View.ML, new() { BatchSize = 1 }, [fitted.Columns[0]]);
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => column.FineTune(Fits.Vectors(rows)));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => Fits.Estimator(Average, batchSize: 1).Fit(Fits.Vectors(rows), fitted));
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => fitted.FineTune(Fits.Vectors(rows[..1]))).Message,
            "a single row");
    }

    [TestMethod]
    public void Data_of_a_single_row_gives_no_average_and_one_row_more_joins_the_batch_before_it()
    {
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => Fits.Fit(Fits.Vectors(rows[..1]), Average)).Message,
            "Column 'Y': the data has a single row");
        IDataView masked = MaskedRow.View(rows, i => i == 3);
        Assert.ThrowsExactly<InvalidOperationException>(() => Fits.Fit(masked, options =>
            (options.Layer, options.MaskColumnName) = (Average, "Counts")));
        Assert.AreEqual(
            Fits.Loop(Average, rows[..41], [20, 21]), Fits.Fit(Fits.Vectors(rows[..41]), Average, batchSize: 20));
    }

    [TestMethod]
    public void Exact_statistics_and_images_take_batches_of_one_row()
    {
        BatchNormalizationState state =
            Fits.Fit(Fits.Vectors(rows), Average with { MovingStatistics = MovingStatistics.Population }, batchSize: 1);
        Assert.AreEqual(1.25, state.MovingVariance[0], 1e-12);
        Assert.AreEqual(0, Fits.Fit(
            Fits.Vectors(rows[..1]), Average with { MovingStatistics = MovingStatistics.Population }).MovingVariance[0]);
        float[][] images = View.Floats(10, 60);
        Assert.AreEqual(3, Fits.Fit(View.Vectors(View.Dense(images), 3, 4, 5), Average, batchSize: 1).Channels);
    }

    [TestMethod]
    [DataRow(4, null, "25 %")]
    [DataRow(16, null, "6 %")]
    [DataRow(64, 4, "25 %")]
    public void Few_values_in_a_batch_are_a_warning_that_says_how_short_the_variance_is(
        int batchSize, int? virtualBatchSize, string expected)
    {
        BatchNormalizationOptions layer = Average with { VirtualBatchSize = virtualBatchSize };
        string warning = Warnings(Fits.Vectors(rows), layer, batchSize).Single();
        StringAssert.Contains(warning, "Column 'Y'");
        StringAssert.Contains(warning, $"{expected} less than the variance");
        StringAssert.Contains(warning, "VarianceConvention.Sample");
    }

    [TestMethod]
    public void The_warning_says_the_truth()
    {
        float[] values = Sample.Floats(40_000, 3);
        BatchNormalizationOptions layer = Average with { MovingStatistics = MovingStatistics.Cumulative };
        double variance = Fits.Fit(View.Scalars(values), layer, batchSize: 4).MovingVariance[0];
        Assert.AreEqual(0.75, variance, 0.02);
        layer = layer with { VarianceConvention = VarianceConvention.Sample };
        Assert.AreEqual(1, Fits.Fit(View.Scalars(values), layer, batchSize: 4).MovingVariance[0], 0.02);
    }

    [TestMethod]
    public void Enough_values_the_sample_variance_and_a_single_batch_are_none()
    {
        IDataView view = Fits.Vectors(rows);
        Assert.IsEmpty(Warnings(view, Average, 20));
        Assert.IsEmpty(Warnings(view, Average with { VarianceConvention = VarianceConvention.Sample }, 4));
        Assert.IsEmpty(Warnings(view, Average with { MovingStatistics = MovingStatistics.Population }, 4));
        Assert.DoesNotContain("less than the variance", Warnings(view, Average with { Trainable = false }, 4).Single());
        Assert.IsEmpty(Warnings(Fits.Vectors(rows[..16]), Average with { Momentum = 0 }, 256));
        IDataView images = View.Vectors(View.Dense(View.Floats(40, 60)), 3, 4, 5);
        Assert.IsEmpty(Warnings(images, Average, 1));
    }

    [TestMethod]
    public void A_trainer_that_keeps_its_averages_warns_too()
    {
        StringAssert.Contains(Trained(batchSize: 8, recompute: false).Single(), "12 % less than the variance");
        Assert.IsEmpty(Trained(batchSize: 8, recompute: true));
        Assert.IsEmpty(Trained(batchSize: 20, recompute: false));

        static string[] Trained(int batchSize, bool recompute)
        {
            var context = new MLContext(1);
            List<string> warnings = Testing.Warnings.Of(context);
            Blobs.Multiclass(context, options =>
            {
                options.NetworkFactory = (input, outputs) =>
                    Network.Input(input.Dimensions).BatchNormalization(new() { Momentum = 0.1 }).Dense(outputs);
                (options.BatchSize, options.RecomputeStatistics) = (batchSize, recompute);
            }).Fit(Blobs.View(context));
            return [.. warnings.Where(warning => warning.Contains("variance", StringComparison.Ordinal))];
        }
    }

    [TestMethod]
    public void Down_the_chain_a_batch_of_single_values_is_an_error_where_its_statistics_are_taken()
    {
        Assert.ThrowsExactly<InvalidOperationException>(() => Seen(rows, trainable: true, batchSize: 1));
        Assert.ThrowsExactly<InvalidOperationException>(() => Seen(rows[..1], trainable: true, batchSize: 8));
        Assert.HasCount(400, Seen(rows, trainable: false, batchSize: 1));
        Assert.HasCount(400, Seen(rows, trainable: true, batchSize: 2));

        static float[][] Seen(float[][] rows, bool trainable, int batchSize)
        {
            var next = new Witness();
            new EstimatorChain<ITransformer>().Append(Fits.Estimator(options =>
            {
                (options.BatchSize, options.TrainDownstreamOn) = (batchSize, DownstreamStatistics.Batch);
                options.Layer = options.Layer with { Trainable = trainable };
            })).Append(next).Fit(Fits.Vectors(rows));
            return next.Seen!.Rows<float>("Y");
        }
    }

    static string[] Warnings(IDataView view, BatchNormalizationOptions layer, int batchSize)
    {
        var context = new MLContext(1);
        List<string> warnings = Testing.Warnings.Of(context);
        Fits.Estimator(options => (options.Layer, options.BatchSize) = (layer, batchSize), context).Fit(view);
        return [.. warnings];
    }
}
