namespace Microsoft.ML.BatchNorm.Tests.Training;

[TestClass]
public class DivergenceTests
{
    [TestMethod]
    public void A_run_that_diverges_names_epoch_step_and_layer_and_has_the_state_before()
    {
        var engine = new RecordingEngine
        {
            BeforeStep = step =>
            {
                if (step == 5)
                    throw new TrainingDivergedException("base");
            },
        };
        var diverged = Assert.ThrowsExactly<TrainingDivergedException>(() => Runs.Train(engine, Runs.Options));
        Assert.AreEqual(("base", 2, 2L), (diverged.Layer, diverged.Epoch, diverged.Step));
        Assert.AreEqual(engine.Last.GetState(), diverged.LastGoodState);
        Assert.IsInstanceOfType<TrainingDivergedException>(diverged.InnerException);
        Assert.IsTrue(engine.Last.IsDisposed);
    }

    [TestMethod]
    public void A_loss_that_is_found_not_finite_when_it_is_read_names_its_own_step()
    {
        var engine = new RecordingEngine { Loss = step => step == 5 ? double.NaN : 1 };
        var diverged = Assert.ThrowsExactly<TrainingDivergedException>(() => Runs.Train(engine, Runs.Options));
        Assert.AreEqual(("", 2, 2L), (diverged.Layer, diverged.Epoch, diverged.Step));
    }

    [TestMethod]
    public void On_the_CPU_a_learning_rate_far_too_high_leaves_the_last_finite_state()
    {
        Network network = Network.Input(2).Dense(4).ReLU().Dense(1);
        var data = new TrainingData(8, Sample.Floats(16, 1), Sample.Floats(8, 2));
        TrainingOptions options = Runs.Options with { Optimizer = Optimizer.Sgd(1e18), Epochs = 50 };
        var diverged = Assert.ThrowsExactly<TrainingDivergedException>(
            () => NetworkTrainer.Train(network, network.Initialize(1), data, options));
        network.CheckState(diverged.LastGoodState!);
        foreach (string path in diverged.LastGoodState!.Paths)
        {
            foreach (float value in diverged.LastGoodState[path].Kernel)
                Assert.IsTrue(float.IsFinite(value));
        }
        Assert.IsTrue(diverged.Epoch > 0 && diverged.Step > 0);
    }
}
