namespace Microsoft.ML.BatchNorm.Tests.Training;

[TestClass]
public class EvaluationTests
{
    [TestMethod]
    public void An_epochs_loss_is_the_mean_over_its_rows()
    {
        var engine = new RecordingEngine { Loss = step => step };
        TrainingResult result = Runs.Train(engine, Runs.Options);
        Assert.AreEqual((1 * 4 + 2 * 4 + 3 * 2) / 10.0, result.History[0].Loss, 1e-15);
        Assert.AreEqual((4 * 4 + 5 * 4 + 6 * 2) / 10.0, result.History[1].Loss, 1e-15);
    }

    [TestMethod]
    [DynamicData(nameof(Losses))]
    public void Validation_has_the_mean_loss_and_the_metric_by_weights(
        Loss loss, float[] targets, double[] classWeights, double[] rowLosses, double[] rowMetrics)
    {
        // Outputs are 0.5 each; the third row has no weight.
        Network network = Network.Input(1).Dense(targets.Length == 3 && loss is not SoftmaxCrossEntropyLoss ? 1 : 2);
        var validation = new TrainingData(3, new float[3], targets, new float[] { 1, 2, 0 });
        var training = new TrainingData(3, new float[3], targets);
        var engine = new RecordingEngine { Output = _ => 0.5f };
        TrainingOptions options = Runs.Options with { Loss = loss, Epochs = 1, ClassWeights = [.. classWeights] };
        EpochResult epoch =
            NetworkTrainer.Train(network, network.Initialize(), training, options, validation, engine).History[0];
        double first = Weight(0), second = 2 * Weight(1);
        Assert.AreEqual(
            (first * rowLosses[0] + second * rowLosses[1]) / (first + second), epoch.ValidationLoss!.Value, 1e-12);
        Assert.AreEqual((rowMetrics[0] + 2 * rowMetrics[1]) / 3, epoch.ValidationMetric!.Value, 1e-12);

        double Weight(int row) => classWeights.Length == 0 ? 1
            : classWeights[loss is SoftmaxCrossEntropyLoss ? (int)targets[row] : targets[row] >= 0.5f ? 1 : 0];
    }

    static IEnumerable<object[]> Losses
    {
        get
        {
            double binary0 = 0.5 + Math.Log(1 + Math.Exp(-0.5)), binary1 = Math.Log(1 + Math.Exp(-0.5));
            double half = Math.Log(2);
            double[] none = [];
            return
            [
                Case(Loss.SoftmaxCrossEntropy, [0, 1, 1], none, [half, half], [1, 0]),
                Case(Loss.SoftmaxCrossEntropy, [0, 1, 1], [3, 0.25], [half, half], [1, 0]),
                Case(Loss.BinaryCrossEntropy, [0, 1, 1], none, [binary0, binary1], [0, 1]),
                Case(Loss.BinaryCrossEntropy, [0, 1, 1], [3, 0.25], [binary0, binary1], [0, 1]),
                Case(Loss.BinaryCrossEntropy, [0, 1, 1, 1, 0, 0], none, [(binary0 + binary1) / 2, binary1], [0.5, 1]),
                Case(Loss.MeanSquaredError, [1.5f, -1.5f, 9], none, [1, 4], [1, 2]),
                Case(Loss.MeanAbsoluteError, [1.5f, -1.5f, 9], none, [1, 2], [1, 2]),
                Case(Loss.Huber(1.5), [1.5f, -1.5f, 9], none, [0.5, 1.5 * (2 - 0.75)], [1, 2]),
                Case(Loss.MeanSquaredError, [1.5f, 0.5f, -1.5f, 0.5f, 9, 9], none, [0.5, 2], [0.5, 1]),
            ];

            static object[] Case(
                Loss loss, float[] targets, double[] classWeights, double[] losses, double[] metrics) =>
                [loss, targets, classWeights, losses, metrics];
        }
    }

    [TestMethod]
    public void The_metric_of_the_training_rows_is_measured_where_it_is_asked_for()
    {
        var engine = new RecordingEngine { Output = _ => 0.5f };
        Assert.IsNull(Runs.Train(engine, Runs.Options).History[0].Metric);
        Assert.AreEqual(0.5, Runs.Train(engine, Runs.Options with { EvaluateTrainingData = true }).History[0].Metric);
    }

    [TestMethod]
    public void Without_validation_rows_there_is_no_validation_loss_and_the_last_epoch_is_the_best()
    {
        TrainingResult result = Runs.Train(new RecordingEngine(), Runs.Options);
        Assert.IsTrue(result.History.All(epoch => epoch.ValidationLoss is null && epoch.ValidationMetric is null));
        Assert.AreEqual(3, result.BestEpoch);
    }

    [TestMethod]
    public void Many_rows_are_evaluated_in_blocks_as_all_at_once()
    {
        Network network = Network.Input(4).Dense(1);
        float[] features = Sample.Floats(4 * 300_000, 1), targets = Sample.Floats(300_000, 2);
        NetworkState state = network.Initialize(1);
        var data = new TrainingData(2, features.AsMemory(0, 8), targets.AsMemory(0, 2));
        TrainingResult result = NetworkTrainer.Train(
            network, state, data, Runs.Options with { Epochs = 1 }, new TrainingData(300_000, features, targets));
        float[] outputs = new float[300_000];
        new NetworkModel(network, result.State).Predict(features, outputs);
        double expected = outputs.Zip(targets, (output, target) => Math.Pow((double)output - target, 2)).Average();
        Assert.AreEqual(expected, result.History[0].ValidationLoss!.Value, 1e-6);
    }
}
