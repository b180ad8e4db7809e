namespace Microsoft.ML.BatchNorm.Tests.Documents;

/// <summary>The examples in the documentation of the core.</summary>
[TestClass]
[DoNotParallelize]
public class ExampleTests
{
    static BlockLibrary? library;

    static List<BlockChain> All => Examples.Chains("Microsoft.ML.BatchNorm.Core", "using Microsoft.ML.BatchNorm;");

    static IEnumerable<object[]> Chains => All.Select(chain => new object[] { chain.Name });

    [ClassInitialize]
    public static void Build(TestContext context)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("examples-");
        try
        {
            string weights = Path.Combine(folder.FullName, "resnet18.safetensors");
            Network network = Architectures.ResNet18();
            using (FileStream stream = File.Create(weights))
                network.SaveSafetensors(stream, network.Initialize(seed: 1), TensorNaming.PyTorch);
            library = BlockLibrary.Build(All, ["Microsoft.ML.BatchNorm.Core"], weights);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [ClassCleanup]
    public static void Delete() => library?.Dispose();

    [TestMethod]
    [DynamicData(nameof(Chains))]
    public void An_example_compiles_and_runs(string chain) => library!.Run(chain);
}
