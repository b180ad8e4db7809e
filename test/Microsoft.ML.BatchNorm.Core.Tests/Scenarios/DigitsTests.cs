using Samples;

namespace Microsoft.ML.BatchNorm.Tests.Scenarios;

/// <summary>Accuracies on real digits, from named seeds.</summary>
[TestClass]
public class DigitsTests
{
    static readonly (Digits Train, Digits Test) digits = Digits.Load();

    [TestMethod]
    public void The_split_is_always_the_same()
    {
        Assert.AreEqual((1437, 360), (digits.Train.Rows, digits.Test.Rows));
        CollectionAssert.AreEqual(digits.Test.Pixels, Digits.Load().Test.Pixels);
        CollectionAssert.AreEqual(digits.Test.Labels, Digits.Load().Test.Labels);
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    public void Ten_digits_are_told_apart_in_98_of_100_test_rows(int seed)
    {
        Network network = Network(10);
        double accuracy = Accuracy(network, Train(network, seed, digits.Train.ToData()), digits.Test.ToData());
        Assert.IsTrue(accuracy >= 0.98, $"The accuracy is {accuracy}.");
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    public void Fine_tuning_on_twenty_rows_of_a_new_digit_is_better_than_a_new_head_alone(int seed)
    {
        Network known = Network(5), network = known.WithHead(5);
        NetworkState state = network.Initialize(Train(known, seed, digits.Train.Between(0, 4).ToData()), seed);
        TrainingData few = digits.Train.Between(5, 9).PerClass(20, seed).ToData(first: 5);
        Assert.AreEqual(100, few.Rows);
        TrainingData test = digits.Test.Between(5, 9).ToData(first: 5);
        var options = new TrainingOptions { BatchSize = 20, Seed = seed };

        double Reached(FineTuningPlan plan) =>
            Accuracy(network, NetworkTrainer.Train(network, state, few, options, plan).State, test);
        FineTuningPlan Plan(FineTuneBatchNormalization batchNormalization) =>
            FineTune.HeadThenAll(100, 100, 1e-2, 1e-3, batchNormalization);
        double head = Reached(FineTune.HeadOnly(100, 1e-2));
        foreach (FineTuneBatchNormalization batchNormalization in Enum.GetValues<FineTuneBatchNormalization>())
        {
            double all = Reached(Plan(batchNormalization));
            Assert.IsTrue(all > head, $"{batchNormalization} reaches {all}, the head {head}.");
        }
    }

    static Network Network(int classes) => BatchNorm.Network.Input(Digits.PixelCount)
        .WithPreset(NetworkPreset.PyTorch)
        .Dense(128, useBias: false).BatchNormalization().ReLU()
        .Dense(64, useBias: false).BatchNormalization().ReLU()
        .Dense(classes);

    static double Accuracy(Network network, NetworkState state, TrainingData data) =>
        NetworkTrainer.Evaluate(network, state, data, Loss.SoftmaxCrossEntropy).Metric;

    static NetworkState Train(Network network, int seed, TrainingData data)
    {
        var options = new TrainingOptions { BatchSize = 64, Epochs = 40, Seed = seed };
        return NetworkTrainer.Train(network, network.Initialize(seed), data, options).State;
    }
}
