using System.Reflection;

namespace Microsoft.ML.BatchNorm.Tests.Documents;

/// <summary>The examples in the documentation of the ML.NET layer.</summary>
[TestClass]
[DoNotParallelize]
public class ExampleTests
{
    const string Setup =
        """
        using Microsoft.ML;
        using Microsoft.ML.BatchNorm;
        using Microsoft.ML.Data;
        using Microsoft.ML.Trainers;
        using Microsoft.ML.Transforms;
        using static ExampleSetup;
        """;

    static BlockLibrary? library;

    static List<BlockChain> All => Examples.Chains("Microsoft.ML.BatchNorm", Setup);

    static IEnumerable<object[]> Chains => All.Select(chain => new object[] { chain.Name });

    [ClassInitialize]
    public static void Build(TestContext context) => library = BlockLibrary.Build(
        All, MLDocumentTests.References, Path.Combine(
            DotNetBuild.Root, "test", "Microsoft.ML.BatchNorm.Tests", "Documents", "ExampleSetup.cs"));

    [ClassCleanup]
    public static void Delete() => library?.Dispose();

    [TestMethod]
    [DynamicData(nameof(Chains))]
    public void An_example_compiles_and_runs(string chain) => library!.Run(chain);

    [TestMethod]
    [DataRow("Microsoft.ML.BatchNorm")]
    [DataRow("Microsoft.ML.BatchNorm.Core")]
    public void Every_catalog_method_has_an_example(string assembly) =>
        Assert.AreEqual("", string.Join('\n', Examples.CatalogMethodsWithout(Assembly.Load(assembly))));
}
