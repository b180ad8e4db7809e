using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>A moving average is that of the core over the same batches, bit for bit.</summary>
[TestClass]
public class AverageTests
{
    static readonly BatchNormalizationOptions Exponential = BatchNormalizationOptions.Keras with { Momentum = 0.8 };

    static readonly BatchNormalizationOptions Cumulative =
        Exponential with { MovingStatistics = MovingStatistics.Cumulative };

    static readonly BatchNormalizationOptions Sampled =
        BatchNormalizationOptions.PyTorch with { NonFinite = NonFinite.Ignore };

    static IEnumerable<object[]> Layers =>
    [
        [Exponential], [Cumulative], [Sampled], [Exponential with { VirtualBatchSize = 3 }],
        [Exponential with { Renorm = new() }],
    ];

    [TestMethod]
    [DynamicData(
        nameof(Layers),
        DynamicDataDisplayName = nameof(Fits.Name), DynamicDataDisplayNameDeclaringType = typeof(Fits))]
    public void Full_batches(BatchNormalizationOptions layer) => AssertLoop(layer, 24, 8, [8, 8, 8]);

    [TestMethod]
    [DynamicData(
        nameof(Layers),
        DynamicDataDisplayName = nameof(Fits.Name), DynamicDataDisplayNameDeclaringType = typeof(Fits))]
    public void A_last_batch_that_is_smaller(BatchNormalizationOptions layer) => AssertLoop(layer, 22, 8, [8, 8, 6]);

    [TestMethod]
    [DynamicData(
        nameof(Layers),
        DynamicDataDisplayName = nameof(Fits.Name), DynamicDataDisplayNameDeclaringType = typeof(Fits))]
    public void A_last_batch_of_two(BatchNormalizationOptions layer) => AssertLoop(layer, 18, 8, [8, 8, 2]);

    [TestMethod]
    [DynamicData(
        nameof(Layers),
        DynamicDataDisplayName = nameof(Fits.Name), DynamicDataDisplayNameDeclaringType = typeof(Fits))]
    public void A_last_batch_of_one_is_joined_to_the_one_before(BatchNormalizationOptions layer) =>
        AssertLoop(layer, 17, 8, [8, 9]);

    [TestMethod]
    public void A_single_batch_that_is_not_full_or_has_one_row_more()
    {
        AssertLoop(Exponential, 5, 8, [5]);
        AssertLoop(Exponential, 9, 8, [9]);
    }

    [TestMethod]
    public void Each_epoch_goes_on_from_the_one_before()
    {
        float[][] rows = View.Floats(22, 5);
        BatchNormalizationState once = Fits.Loop(Cumulative, rows, [8, 8, 6]);
        BatchNormalizationState actual = Fits.Fit(Fits.Vectors(rows), options =>
        {
            options.Layer = Cumulative;
            options.BatchSize = 8;
            options.Epochs = 2;
        });
        Assert.AreEqual(Fits.Loop(Cumulative, rows, [8, 8, 6], once), actual);
        Assert.AreEqual(6, actual.BatchesSeen);
    }

    [TestMethod]
    public void The_same_seed_shuffles_to_the_same_bits_and_another_does_not()
    {
        IDataView view = Fits.Vectors(View.Floats(3000, 3));
        BatchNormalizationState plain = Shuffled(view, seed: null), first = Shuffled(view, 1);
        Assert.AreEqual(first, Shuffled(view, 1));
        Assert.AreNotEqual(first, Shuffled(view, 2));
        Assert.AreNotEqual(first, plain);
        Agreement.Within(0.2, plain.MovingMean, first.MovingMean);
    }

    [TestMethod]
    public void Each_epoch_is_shuffled_anew()
    {
        IDataView view = Fits.Vectors(View.Floats(3000, 3));
        BatchNormalizationEstimator once = Fits.Estimator(options =>
            (options.Layer, options.Shuffle, options.Seed) = (Exponential, true, 1));
        BatchNormalizationState twiceAlike = once.Fit(view, once.Fit(view)).GetState("Y");
        Assert.AreNotEqual(twiceAlike, Shuffled(view, 1, epochs: 2));
    }

    [TestMethod]
    public void A_context_s_seed_decides_where_none_is_given()
    {
        IDataView view = Fits.Vectors(View.Floats(3000, 3));
        BatchNormalizationState[] states = [.. new[] { 4, 4, 5 }.Select(seed => Fits.Estimator(
            options => (options.Layer, options.Shuffle) = (Exponential, true), new MLContext(seed))
            .Fit(view).GetState("Y"))];
        Assert.AreEqual(states[0], states[1]);
        Assert.AreNotEqual(states[0], states[2]);
    }

    static BatchNormalizationState Shuffled(IDataView view, int? seed, int epochs = 1) => Fits.Fit(view, options =>
    {
        options.Layer = Exponential;
        options.Shuffle = seed is not null;
        options.Seed = seed;
        options.Epochs = epochs;
    });

    static void AssertLoop(BatchNormalizationOptions layer, int count, int batchSize, int[] batches)
    {
        float[][] rows = View.Floats(count, 5);
        BatchNormalizationState expected = Fits.Loop(layer, rows, batches);
        Assert.AreEqual(expected, Fits.Fit(Fits.Vectors(rows), layer, batchSize));
        Assert.AreEqual(batches.Length, expected.BatchesSeen);
    }
}
