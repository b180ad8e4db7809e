namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>What is trained on a GPU is what is trained on libtorch's CPU, in float32 to 1e-3.</summary>
[TestClass]
[TestCategory("Gpu")]
public class GpuTests
{
    const double Tolerance = 1e-3;

    static IEnumerable<object[]> Cases =>
        from name in Trainings.Names
        from bytes in new[] { 2L << 30, 0 }
        select new object[] { name, bytes };

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void Every_part_of_the_engine_agrees(string name, long bytesOnDevice)
    {
        Gpu.Need();
        Trainings.Compare(name, Tolerance, new("cpu"), new("cuda", new() { DataBytesOnDevice = bytesOnDevice }));
    }

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void Mixed_precision_trains(string name, long bytesOnDevice)
    {
        Gpu.Need();
        Trainings.Run(name, new("cuda", new() { DataBytesOnDevice = bytesOnDevice, MixedPrecision = true }));
    }
}
