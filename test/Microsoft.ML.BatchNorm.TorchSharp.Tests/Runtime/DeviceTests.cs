namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Runtime;

/// <summary>A device that is not available is an error that says what is missing.</summary>
[TestClass]
public class DeviceTests
{
    [TestMethod]
    [DataRow("gpu")]
    [DataRow("")]
    [DataRow("cuda:")]
    [DataRow("cuda:-1")]
    [DataRow("CPU")]
    public void A_name_that_names_no_device_is_an_error(string name)
    {
        var error = Assert.ThrowsExactly<ArgumentException>(() => new TorchEngine(name));
        StringAssert.Contains(error.Message, "'cuda:1'");
    }

    [TestMethod]
    public void The_device_and_the_options_can_be_read()
    {
        var options = new TorchEngineOptions { DataBytesOnDevice = 5, MixedPrecision = true };
        var engine = new TorchEngine("cpu", options);
        Assert.AreEqual("cpu", engine.Device);
        Assert.AreEqual(options, engine.Options);
        Assert.AreEqual(2L << 30, new TorchEngine("cpu").Options.DataBytesOnDevice);
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new TorchEngineOptions { DataBytesOnDevice = -1 });
    }

    [TestMethod]
    public void The_error_names_a_CUDA_device_that_is_not_available()
    {
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => new TorchEngine("cuda:64"));
        Assert.IsTrue(
            error.Message.Contains("TorchSharp-cuda", StringComparison.Ordinal)
            || error.Message.Contains("'cuda:64' is not available", StringComparison.Ordinal), error.Message);
    }
}
