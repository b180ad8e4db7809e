namespace Microsoft.ML.BatchNorm.Tests.Training;

/// <summary>Which parameters weight decay applies to.</summary>
[TestClass]
public class WeightDecayTests
{
    [TestMethod]
    [DynamicData(nameof(WeightDecay.Optimizers), typeof(WeightDecay))]
    public void Without_gradients_it_alone_changes_what_it_is_told_to(Optimizer optimizer)
    {
        WeightDecay.AssertDecays(new CpuEngine(1), optimizer);
        WeightDecay.AssertDecays(new CpuEngine(2), optimizer);
    }

    [TestMethod]
    public void It_is_the_kernels_unless_all_are_asked_for()
    {
        Assert.AreEqual(DecayedParameters.Kernels, Optimizer.Sgd().DecayedParameters);
        Assert.AreEqual(DecayedParameters.Kernels, Optimizer.Adam().DecayedParameters);
        Assert.AreEqual(DecayedParameters.Kernels, Optimizer.AdamW().DecayedParameters);
        Assert.AreEqual(
            DecayedParameters.All,
            Optimizer.AdamW(decayedParameters: DecayedParameters.All).DecayedParameters);
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => Optimizer.Sgd() with { DecayedParameters = (DecayedParameters)2 });
    }

    [TestMethod]
    public void A_report_says_how_much_of_what_decays()
    {
        Assert.AreEqual("none", LossText.WeightDecay(Optimizer.Adam()));
        Assert.AreEqual("0.01 of kernels", LossText.WeightDecay(Optimizer.AdamW()));
        Assert.AreEqual(
            "0.1 of all parameters",
            LossText.WeightDecay(
                Optimizer.Sgd() with { WeightDecay = 0.1, DecayedParameters = DecayedParameters.All }));
    }

    [TestMethod]
    public void Ten_steps_of_SGD_leave_gamma_at_1_or_take_it_to_0_99_to_the_power_of_ten()
    {
        Network network = Network.Input(2).BatchNormalization().Dense(1).ReLU();
        NetworkState state = network.Initialize(1).With("dense", new LayerState((float[])[1, 1], [-100]));
        var data = new TrainingData(4, Sample.Floats(8, 1), new float[4]);
        Assert.AreEqual(1, Gamma(DecayedParameters.Kernels));
        Assert.AreEqual(Math.Pow(0.99, 10), Gamma(DecayedParameters.All), 1e-6);

        float Gamma(DecayedParameters decayed)
        {
            var options = new TrainingOptions
            {
                Loss = Loss.MeanSquaredError,
                Optimizer = Optimizer.Sgd(0.1) with { WeightDecay = 0.1, DecayedParameters = decayed },
                Epochs = 10,
                BatchSize = 4,
            };
            NetworkState trained = NetworkTrainer.Train(network, state, data, options).State;
            return trained["batch_normalization"].BatchNormalization!.Gamma[1];
        }
    }
}
