using System.Reflection;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests;

/// <summary>The libtorch that these tests run on.</summary>
[TestClass]
public static class Native
{
    /// <summary>The package that it comes from; empty where there is none for the system.</summary>
    public static string Package { get; } = Assembly.GetExecutingAssembly()
        .GetCustomAttributes<AssemblyMetadataAttribute>().Single(data => data.Key == "Libtorch").Value ?? "";

    /// <summary>Skips all tests on a system without a libtorch. On any other they fail if it does not load.</summary>
    [AssemblyInitialize]
    public static void Need(TestContext _)
    {
        if (Package.Length == 0)
            Assert.Inconclusive($"There is no libtorch for {RuntimeInformation.RuntimeIdentifier}.");
        new TorchEngine("cpu");
    }
}
