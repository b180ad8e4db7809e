namespace Microsoft.ML.BatchNorm.Tests.Documents;

/// <summary>The C# blocks of README.md and docs that use ML.NET.</summary>
[TestClass]
[DoNotParallelize]
public class MLDocumentTests
{
    static BlockLibrary? library;

    static IEnumerable<object[]> Chains =>
        BlockLibrary.Chains(BlockNeed.ML).Select(chain => new object[] { chain.Name });

    /// <summary>This library, ML.NET and its ONNX converter, as the packages bring them.</summary>
    internal static IEnumerable<string> References =>
        Directory.GetFiles(AppContext.BaseDirectory, "Microsoft.ML*.dll").Select(Path.GetFileNameWithoutExtension)
            .Where(name => !name!.StartsWith("Microsoft.ML.BatchNorm.", StringComparison.Ordinal)
                || name == "Microsoft.ML.BatchNorm.Core")!;

    [ClassInitialize]
    public static void Build(TestContext context) =>
        library = BlockLibrary.Build(BlockLibrary.Chains(BlockNeed.ML), References);

    [ClassCleanup]
    public static void Delete() => library?.Dispose();

    [TestMethod]
    [DynamicData(nameof(Chains))]
    public void Blocks_compile_run_and_print_what_the_document_shows(string chain) => library!.Run(chain);
}
