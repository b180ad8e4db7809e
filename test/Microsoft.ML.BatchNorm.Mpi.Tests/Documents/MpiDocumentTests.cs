namespace Microsoft.ML.BatchNorm.Mpi.Tests.Documents;

/// <summary>The C# blocks of docs that run on several processes: here as one rank.</summary>
[TestClass]
public class MpiDocumentTests
{
    static BlockLibrary? library;

    static IEnumerable<object[]> Chains =>
        BlockLibrary.Chains(BlockNeed.Mpi).Select(chain => new object[] { chain.Name });

    static IEnumerable<string> References =>
        Directory.GetFiles(AppContext.BaseDirectory, "Microsoft.ML*.dll").Select(Path.GetFileNameWithoutExtension)
            .Where(name => !name!.EndsWith(".Tests", StringComparison.Ordinal)
                && name != "Microsoft.ML.BatchNorm.Testing")!;

    [ClassInitialize]
    public static void Build(TestContext context) =>
        library = BlockLibrary.Build(BlockLibrary.Chains(BlockNeed.Mpi), References);

    [ClassCleanup]
    public static void Delete() => library?.Dispose();

    [TestMethod]
    [DynamicData(nameof(Chains))]
    public void Blocks_compile_run_and_print_what_the_document_shows(string chain) => library!.Run(chain);
}
