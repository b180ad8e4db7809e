namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Runtime;

/// <summary>TF32, which libtorch knows how to do without even where there is no GPU.</summary>
[TestClass]
public class PrecisionTests
{
    static readonly Network network = Network.Input(2).Dense(1);

    [TestMethod]
    [DataRow(true, true)]
    [DataRow(true, false)]
    [DataRow(false, true)]
    public void TF32_is_off_while_a_session_is_open_and_restored_afterwards(bool convolutions, bool products)
    {
        (bool, bool) before = Allowed;
        try
        {
            Allowed = (convolutions, products);
            using ITrainingSession first = Start(), second = Start();
            Assert.AreEqual((false, false), Allowed);
            first.Dispose();
            first.Dispose();
            Assert.AreEqual((false, false), Allowed);
            second.Dispose();
            Assert.AreEqual((convolutions, products), Allowed);
        }
        finally
        {
            Allowed = before;
        }
    }

    static (bool Convolutions, bool Products) Allowed
    {
        get => (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32);
        set => (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) = value;
    }

    static ITrainingSession Start() => new TorchEngine("cpu").Start(
        network, network.Initialize(), new() { Loss = Loss.MeanSquaredError },
        new TrainingData(2, new float[4], new float[2]));
}
