namespace Microsoft.ML.BatchNorm.Tests.Documents;

/// <summary>The C# blocks of README.md and docs that need the core alone.</summary>
[TestClass]
[DoNotParallelize]
public class DocumentTests
{
    static BlockLibrary? library;

    static IEnumerable<object[]> Chains =>
        BlockLibrary.Chains(BlockNeed.None).Select(chain => new object[] { chain.Name });

    [ClassInitialize]
    public static void Build(TestContext context) =>
        library = BlockLibrary.Build(BlockLibrary.Chains(BlockNeed.None), ["Microsoft.ML.BatchNorm.Core"]);

    [ClassCleanup]
    public static void Delete() => library?.Dispose();

    [TestMethod]
    [DynamicData(nameof(Chains))]
    public void Blocks_compile_run_and_print_what_the_document_shows(string chain) => library!.Run(chain);
}
