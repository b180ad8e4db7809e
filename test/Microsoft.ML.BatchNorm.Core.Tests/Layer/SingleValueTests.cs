namespace Microsoft.ML.BatchNorm.Tests.Layer;

/// <summary>A batch of one value per channel, normalized with its own statistics.</summary>
[TestClass]
public sealed class SingleValueTests
{
    static readonly BatchNormalizationOptions untracked =
        BatchNormalizationOptions.PyTorch with { TrackMovingStatistics = false };

    static readonly ChannelLayout row = ChannelLayout.Features(1, 2);

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void Without_moving_statistics_one_row_is_refused_and_no_sample_variance_is_blamed(bool training)
    {
        AssertBlamesTheRows(() => Forward(untracked, training));
        AssertBlamesTheRows(() => _ = training ? Train(untracked) : Predict(untracked)[0]);
    }

    [TestMethod]
    public void With_moving_statistics_it_is_the_sample_variance_that_one_row_does_not_have()
    {
        AssertBlamesTheVariance(() => Forward(BatchNormalizationOptions.PyTorch, training: true));
        AssertBlamesTheVariance(() => Train(BatchNormalizationOptions.PyTorch));
    }

    [TestMethod]
    public void One_row_is_beta_under_the_population_variance()
    {
        BatchNormalizationOptions options = untracked with { VarianceConvention = VarianceConvention.Population };
        foreach (bool training in new[] { true, false })
            CollectionAssert.AreEqual((float[])[0.5f, -2], Forward(options, training));
        CollectionAssert.AreEqual((float[])[0.5f, -2], Predict(options));
    }

    static float[] Forward(BatchNormalizationOptions options, bool training)
    {
        float[] y = new float[2];
        BatchNormalization.Forward(options, State, row, (float[])[3, 4], y, training);
        return y;
    }

    static float[] Predict(BatchNormalizationOptions options)
    {
        using ITrainingSession session = Start(options);
        float[] y = new float[2];
        session.Predict([3, 4], y);
        return y;
    }

    static float Train(BatchNormalizationOptions options)
    {
        using ITrainingSession session = Start(options);
        session.TrainOnBatch([0], 0.1);
        return 0;
    }

    static BatchNormalizationState State => new([0, 0], [1, 1], [1, 1], [0.5f, -2]);

    static ITrainingSession Start(BatchNormalizationOptions options) => new CpuEngine(1).Start(
        Network.Input(2).BatchNormalization(options),
        new([KeyValuePair.Create("batch_normalization", new LayerState(State))]),
        new TrainingOptions { Loss = Loss.MeanSquaredError }, new TrainingData(1, (float[])[3, 4], new float[2]));

    static void AssertBlamesTheRows(Action action)
    {
        string message = Assert.ThrowsExactly<InvalidDataException>(action).Message;
        StringAssert.Contains(message, "at least two rows");
        Assert.IsFalse(message.Contains("sample variance"), message);
    }

    static void AssertBlamesTheVariance(Action action) =>
        StringAssert.Contains(Assert.ThrowsExactly<InvalidDataException>(action).Message, "sample variance");
}
