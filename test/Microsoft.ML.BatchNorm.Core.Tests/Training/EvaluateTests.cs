namespace Microsoft.ML.BatchNorm.Tests.Training;

[TestClass]
public class EvaluateTests
{
    [TestMethod]
    public void A_network_evaluates_to_what_its_run_measured_on_the_same_rows()
    {
        var validation = new TrainingData(50, Sample.Floats(100, 3), Sample.Floats(50, 4), Weights(50));
        TrainingResult result = NetworkTrainer.Train(
            Runs.Network, Runs.State, Runs.Data(40), Runs.Options, validation);
        EvaluationResult evaluation = NetworkTrainer.Evaluate(
            Runs.Network, result.State, validation, Runs.Options.Loss);
        Assert.AreEqual(result.History[^1].ValidationLoss, evaluation.Loss);
        Assert.AreEqual(result.History[^1].ValidationMetric, evaluation.Metric);
    }

    [TestMethod]
    public void The_engine_that_is_given_predicts_and_the_loss_decides_on_the_metric()
    {
        Network network = Network.Input(1).Dense(1);
        var engine = new RecordingEngine { Output = _ => 0.5f };
        var data = new TrainingData(2, new float[2], new float[] { 1, 0 });
        EvaluationResult squared = NetworkTrainer.Evaluate(
            network, network.Initialize(), data, Loss.MeanSquaredError, engine);
        Assert.AreEqual(new EvaluationResult(0.25, 0.5), squared);
        EvaluationResult binary = NetworkTrainer.Evaluate(
            network, network.Initialize(), data, Loss.BinaryCrossEntropy, engine);
        Assert.AreEqual(0.5, binary.Metric);
        Assert.IsTrue(engine.Sessions.All(session => session.IsDisposed && session.Steps == 0));
    }

    [TestMethod]
    public void A_frozen_network_is_evaluated_as_well()
    {
        Network frozen = Runs.Network.Freeze("*");
        Assert.AreEqual(
            NetworkTrainer.Evaluate(Runs.Network, Runs.State, Runs.Data(9), Loss.MeanSquaredError),
            NetworkTrainer.Evaluate(frozen, Runs.State, Runs.Data(9), Loss.MeanSquaredError));
    }

    [TestMethod]
    public void Data_and_states_that_do_not_fit_are_errors_on_any_engine()
    {
        var engine = new RecordingEngine();
        Assert.ThrowsExactly<ArgumentException>(() => NetworkTrainer.Evaluate(
            Runs.Network, new NetworkState([]), Runs.Data(9), Loss.MeanSquaredError, engine));
        Assert.ThrowsExactly<ArgumentException>(() => NetworkTrainer.Evaluate(
            Runs.Network, Runs.State, new TrainingData(2, new float[6], new float[2]), Loss.MeanSquaredError, engine));
        Assert.ThrowsExactly<ArgumentException>(() => NetworkTrainer.Evaluate(
            Runs.Network, Runs.State, new TrainingData(1, new float[2], new float[] { 1 }), Loss.SoftmaxCrossEntropy,
            engine));
    }

    static float[] Weights(int rows) => [.. Enumerable.Range(0, rows).Select(row => row % 3 * 0.5f)];
}
