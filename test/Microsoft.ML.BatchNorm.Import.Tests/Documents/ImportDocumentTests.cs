namespace Microsoft.ML.BatchNorm.Import.Tests.Documents;

/// <summary>The C# blocks of README.md and docs that import networks.</summary>
[TestClass]
[DoNotParallelize]
public class ImportDocumentTests
{
    static BlockLibrary? library;

    static IEnumerable<object[]> Chains =>
        BlockLibrary.Chains(BlockNeed.Import).Select(chain => new object[] { chain.Name });

    /// <summary>These libraries, ML.NET and its ONNX converter, as the packages bring them.</summary>
    static IEnumerable<string> References =>
        Directory.GetFiles(AppContext.BaseDirectory, "Microsoft.ML*.dll").Select(Path.GetFileNameWithoutExtension)
            .Where(name => !name!.EndsWith("Tests", StringComparison.Ordinal) && name != "Microsoft.ML.BatchNorm.Testing")!;

    [ClassInitialize]
    public static void Build(TestContext context) => library = BlockLibrary.Build(
        BlockLibrary.Chains(BlockNeed.Import), References,
        Path.Combine(AppContext.BaseDirectory, "Files", "resnet.onnx"));

    [ClassCleanup]
    public static void Delete() => library?.Dispose();

    [TestMethod]
    [DynamicData(nameof(Chains))]
    public void Blocks_compile_run_and_print_what_the_document_shows(string chain) => library!.Run(chain);
}
