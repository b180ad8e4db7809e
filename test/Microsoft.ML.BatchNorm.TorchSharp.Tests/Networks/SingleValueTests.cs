namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>A batch of one value per channel, normalized with its own statistics.</summary>
[TestClass]
public class SingleValueTests
{
    static readonly BatchNormalizationOptions untracked =
        BatchNormalizationOptions.PyTorch with { TrackMovingStatistics = false };

    static IEnumerable<object[]> Layers => [[untracked], [untracked with { NonFinite = NonFinite.Ignore }]];

    [TestMethod]
    [DynamicData(nameof(Layers))]
    public void Without_moving_statistics_one_row_is_an_error_that_asks_for_two(
        BatchNormalizationOptions options)
    {
        AssertBlamesTheRows(() => Predict(options));
        AssertBlamesTheRows(() => Train(options));

        static void AssertBlamesTheRows(Action action)
        {
            string message = Assert.ThrowsExactly<InvalidDataException>(action).Message;
            StringAssert.Contains(message, "at least two rows");
            Assert.IsFalse(message.Contains("sample variance"), message);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Layers))]
    public void With_the_population_variance_the_output_of_one_row_is_beta(BatchNormalizationOptions options) =>
        CollectionAssert.AreEqual(
            (float[])[0.5f, -2], Predict(options with { VarianceConvention = VarianceConvention.Population }));

    static float[] Predict(BatchNormalizationOptions options)
    {
        using ITrainingSession session = Start(options);
        float[] y = new float[2];
        session.Predict([3, 4], y);
        return y;
    }

    static void Train(BatchNormalizationOptions options)
    {
        using ITrainingSession session = Start(options);
        session.TrainOnBatch([0], 0.1);
    }

    static ITrainingSession Start(BatchNormalizationOptions options) => new TorchEngine("cpu").Start(
        Network.Input(2).BatchNormalization(options),
        new(
        [
            KeyValuePair.Create(
                "batch_normalization", new LayerState(new BatchNormalizationState([0, 0], [1, 1], [1, 1], [0.5f, -2]))),
        ]),
        new TrainingOptions { Loss = Loss.MeanSquaredError },
        new TrainingData(1, (float[])[3, 4], new float[2]));
}
