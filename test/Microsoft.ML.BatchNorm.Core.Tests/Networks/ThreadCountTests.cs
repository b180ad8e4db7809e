namespace Microsoft.ML.BatchNorm.Tests.Networks;

/// <summary>How many threads a training takes where nobody says.</summary>
[TestClass]
public sealed class ThreadCountTests
{
    static Network Small => Network.Input(4).Dense(64).BatchNormalization().ReLU().Dense(3);

    static Network Large => Network.Input(1000).Dense(1000, useBias: false).BatchNormalization().ReLU().Dense(10);

    [TestMethod]
    public void A_small_network_trains_on_one_thread() =>
        Assert.AreEqual(1, Threads(new CpuEngine(), Small, rows: 1000, batch: 32));

    [TestMethod]
    public void A_large_network_in_large_batches_trains_on_every_processor() =>
        Assert.AreEqual(Environment.ProcessorCount, Threads(new CpuEngine(), Large, rows: 4096, batch: 4096));

    [TestMethod]
    public void Batches_are_no_larger_than_the_data() =>
        Assert.AreEqual(1, Threads(new CpuEngine(), Large, rows: 1, batch: 4096));

    [TestMethod]
    public void A_number_that_is_named_is_taken_whatever_there_is_to_do()
    {
        Assert.AreEqual(3, Threads(new CpuEngine(3), Small, rows: 1000, batch: 32));
        Assert.AreEqual(1, Threads(new CpuEngine(1), Large, rows: 4096, batch: 4096));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new CpuEngine(0));
    }

    [TestMethod]
    public void The_work_of_a_row_is_the_multiply_adds_forward_and_those_of_the_gradients_that_are_needed()
    {
        Network dense = Network.Input(4).Dense(5).BatchNormalization().ReLU().Dense(3);
        Assert.AreEqual(2 * 4 * 5 + 3 * 5 * 3, StepWork.MultiplyAdds(dense));
        Assert.AreEqual(4 * 5 + 3 * 5 * 3, StepWork.MultiplyAdds(dense.Freeze("dense")), "γ and β before it learn");
        Assert.AreEqual(4 * 5 + 2 * 5 * 3, StepWork.MultiplyAdds(dense.Freeze("dense", "batch_normalization")));
        Assert.AreEqual(4 * 5 + 5 * 3, StepWork.MultiplyAdds(dense.Freeze("*")));
        // 4 × 5 places of 6 filters over 3 channels of 3 × 3, and 2 × 2 places of 2 filters over 6 of 2 × 3.
        Network images = Network.Input(3, 6, 7).Conv2D(6, 3).Conv2D(2, (2, 3), stride: 2);
        Assert.AreEqual(2 * 4 * 5 * 6 * 27 + 3 * 2 * 2 * 2 * 36, StepWork.MultiplyAdds(images));
    }

    static int Threads(CpuEngine engine, Network network, int rows, int batch)
    {
        var data = new TrainingData(rows, new float[rows * network.InputShape.Size], new float[rows]);
        using var session = (TrainingSession)engine.Start(
            network, network.Initialize(), new TrainingOptions { BatchSize = batch }, data);
        return session.Threads;
    }
}
