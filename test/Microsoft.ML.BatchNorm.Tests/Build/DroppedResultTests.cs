using System.Xml.Linq;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Build;

/// <summary>The SDK's analyzers tell whoever drops the result of a method that changes nothing.</summary>
[TestClass]
[DoNotParallelize]
public class DroppedResultTests
{
    const string Program =
        """
        using Microsoft.ML;
        using Microsoft.ML.BatchNorm;
        using Microsoft.ML.Transforms;

        static class Program
        {
            static void Main() { }

            public static BatchNormalizationTransformer Kept(BatchNormalizationTransformer layer, IDataView rows) =>
                layer.Freeze().Unfreeze().FineTune(rows);

            public static void Dropped(BatchNormalizationTransformer layer, Network network, IDataView rows)
            {
                layer.FineTune(rows);
                layer.Freeze();
                layer.Unfreeze("Features");
                network.Freeze("*");
                network.Unfreeze("*");
                network.Dense(3);
                layer.FineTuneBatchNormalization(rows);
                layer.FreezeBatchNormalization();
                layer.UnfreezeBatchNormalization();
            }
        }
        """;

    [TestMethod]
    public void Each_method_that_only_returns_a_new_value_is_marked_as_pure()
    {
        PureMethods.Check(
            typeof(BatchNormalization).Assembly, "Network.Freeze", "Network.Unfreeze", "NetworkState.With",
            "BatchNormalizationState.WithAffine", "NetworkTrainer.RecomputeStatistics");
        PureMethods.Check(
            typeof(BatchNormalizationTransformer).Assembly, "BatchNormalizationTransformer.FineTune",
            "BatchNormalizationTransformer.Freeze", "BatchNormalizationTransformer.Unfreeze");
    }

    [TestMethod]
    public void Each_dropped_result_is_a_warning_of_CA1806()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("dropped-");
        try
        {
            File.WriteAllText(Path.Combine(folder.FullName, "Program.cs"), Program);
            Project().Save(Path.Combine(folder.FullName, "Example.csproj"));
            string output = DotNetBuild.Execute(
                ["build", "-tl:off", "-verbosity:quiet"], folder.FullName);
            string[] lines = Program.Split('\n');
            for (int i = 0; i < lines.Length; i++)
            {
                bool isDropped = lines[i].StartsWith("        ", StringComparison.Ordinal)
                    && !lines[i].Contains(".Freeze().", StringComparison.Ordinal);
                Assert.AreEqual(
                    isDropped, output.Contains($"Program.cs({i + 1},9): warning CA1806", StringComparison.Ordinal),
                    $"line {i + 1}: {output}");
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    static XElement Project() => new(
        "Project", new XAttribute("Sdk", "Microsoft.NET.Sdk"),
        new XElement(
            "PropertyGroup",
            new XElement("OutputType", "Exe"),
            new XElement("TargetFramework", "net10.0"),
            new XElement("UseAppHost", "false"),
            new XElement("AnalysisLevel", "latest-recommended")),
        new XElement("ItemGroup", ((string[])
            [
                "Microsoft.ML.BatchNorm", "Microsoft.ML.BatchNorm.Core", "Microsoft.ML.Core", "Microsoft.ML.Data",
                "Microsoft.ML.DataView",
            ]).Select(name => new XElement(
                "Reference", new XAttribute("Include", Path.Combine(AppContext.BaseDirectory, $"{name}.dll"))))));
}
