using Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;
using Microsoft.ML.BatchNorm.TorchSharp.Tests.Switches;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Runtime;

/// <summary>
/// Every tensor is made on the engine's device: the process's default device is one that has no values, where a tensor
/// that was made without a device can neither be read nor meet one that was not.
/// </summary>
[TestClass]
public class DefaultDeviceTests
{
    static readonly BatchNormalizationOptions keras = BatchNormalizationOptions.Keras;

    static readonly (string Name, Network Network, TrainingOptions Options)[] trainings =
    [
        ("dense", Network.Input(4).Dense(6).BatchNormalization().Gelu().Dropout(0.3).Dense(3), new()
        {
            Optimizer = Optimizer.Adam(), GradientClipNorm = 0.1, ClassWeights = [1, 2, 3],
        }),
        ("image", Network.Input(2, 6, 6).Conv2D(3, 3).BatchNormalization(axis: -1).MaxPool2D()
            .BatchNormalization(BatchNormalizationOptions.PyTorch).AveragePool2D().Flatten().Dense(3), new()
        {
            Loss = Loss.MeanSquaredError, Optimizer = Optimizer.Sgd(momentum: 0.9),
        }),
        ("groups", Network.Input(4).BatchNormalization(keras with { VirtualBatchSize = 4 }).Tanh().Dense(3), new()),
        ("renormalization", Network.Input(4)
            .BatchNormalization(keras with { Renorm = new() { RMax = 2, RMin = 0.5, DMax = 1 } }).Sigmoid().Dense(3),
            new() { Loss = Loss.Huber(1) }),
        ("ignoring", Network.Input(4).BatchNormalization(keras with { NonFinite = NonFinite.Ignore }).Dense(3), new()),
        ("penalties and constraints", Network.Input(4).Dense(6).BatchNormalization(keras with
        {
            GammaRegularizer = Regularizer.L1L2(0.02, 0.03), GammaConstraint = Constraint.MaxNorm(1.5),
            BetaConstraint = Constraint.NonNegative,
        }).LeakyReLU().Dense(1), new() { Loss = Loss.BinaryCrossEntropy, ClassWeights = [1, 2] }),
        ("TorchScript", TorchScriptTests.network.Unfreeze("base"), new()),
    ];

    static IEnumerable<object[]> Trainings =>
        from training in trainings
        from bytes in new[] { 2L << 30, 0 }
        from mixed in new[] { false, true }
        select new object[] { training.Name, bytes, mixed };

    [TestMethod]
    [DynamicData(nameof(Trainings))]
    public void A_training_is_the_same_whatever_the_default_device(string name, long bytesOnDevice, bool mixed)
    {
        (_, Network network, TrainingOptions options) = trainings.Single(training => training.Name == name);
        var engine = new TorchEngine("cpu", new() { DataBytesOnDevice = bytesOnDevice, MixedPrecision = mixed });
        NetworkState expected = Train();
        Assert.AreEqual(expected, Elsewhere(Train));

        NetworkState Train()
        {
            TrainingData data = Runs.Data(network, options.Loss, 24, weighted: true);
            NetworkState start = name == "TorchScript" ? TorchScriptTests.state : network.Initialize(1);
            using ITrainingSession session = engine.Start(network, start, options, data);
            Runs.Train(session, data.Rows, batchSize: 10);
            session.SetOptimizerState(session.GetOptimizerState());
            session.TrainOnBatch([3], 0.01);
            session.RecomputeStatistics([.. Enumerable.Range(0, data.Rows)]);
            session.Predict(data.Features.Span, new float[data.Rows * network.OutputShape.Size]);
            return session.GetState();
        }
    }

    [TestMethod]
    public void A_fit_is_the_same_whatever_the_default_device()
    {
        BatchNormalizationOptions options = keras with { VirtualBatchSize = 3, NonFinite = NonFinite.Ignore };
        BatchNormalizationState expected = Fit();
        Assert.AreEqual(expected, Elsewhere(Fit));

        BatchNormalizationState Fit()
        {
            using IStatisticsFit fit =
                new TorchEngine("cpu").StartFit(options, BatchNormalization.Initialize(options, 4));
            fit.Add(ChannelLayout.Features(10, 4), Sample.Floats(40, 1));
            return fit.Complete();
        }
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void Recomputed_statistics_of_a_module_are_where_the_module_is(bool calls)
    {
        using var scope = torch.NewDisposeScope();
        var module = new Branches(4, count: 2, calls);
        Tensor batch = FreezeTests.Input(1);
        Tensor variance = module.Last.running_var!;
        module.RecomputeStatistics([batch]);
        float[] expected = variance.data<float>().ToArray();
        variance.zero_();
        Assert.AreEqual(3, Elsewhere(() => module.RecomputeStatistics([batch])));
        CollectionAssert.AreEqual(expected, variance.data<float>().ToArray());
    }

    static T Elsewhere<T>(Func<T> run)
    {
        torch.Device before = torch.get_default_device();
        torch.set_default_device(torch.META);
        try
        {
            return run();
        }
        finally
        {
            torch.set_default_device(before);
        }
    }
}
