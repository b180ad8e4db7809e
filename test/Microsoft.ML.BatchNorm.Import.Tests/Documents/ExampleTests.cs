namespace Microsoft.ML.BatchNorm.Import.Tests.Documents;

/// <summary>The examples in the documentation of the import.</summary>
[TestClass]
[DoNotParallelize]
public class ExampleTests
{
    static BlockLibrary? library;

    static List<BlockChain> All => Examples.Chains(
        "Microsoft.ML.BatchNorm.Import", "using Microsoft.ML.BatchNorm;\nusing Microsoft.ML.BatchNorm.Import;");

    static IEnumerable<object[]> Chains => All.Select(chain => new object[] { chain.Name });

    [ClassInitialize]
    public static void Build(TestContext context) => library = BlockLibrary.Build(
        All, ["Microsoft.ML.BatchNorm.Core", "Microsoft.ML.BatchNorm.Import"],
        Path.Combine(AppContext.BaseDirectory, "Files", "resnet.onnx"));

    [ClassCleanup]
    public static void Delete() => library?.Dispose();

    [TestMethod]
    [DynamicData(nameof(Chains))]
    public void An_example_compiles_and_runs(string chain) => library!.Run(chain);
}
