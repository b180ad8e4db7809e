namespace Microsoft.ML.BatchNorm.TorchSharp.Tests;

/// <summary>Without libtorch beside it, nothing here can be run.</summary>
[TestClass]
public static class Native
{
    /// <summary>Ends all tests as inconclusive where libtorch is missing, with the reason.</summary>
    [AssemblyInitialize]
    public static void Need(TestContext _)
    {
        try
        {
            new TorchEngine("cpu");
        }
        catch (InvalidOperationException error)
        {
            Assert.Inconclusive($"{error.Message} The build programs add TorchSharp-cpu where it can be restored.");
        }
    }
}
