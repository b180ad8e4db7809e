namespace Microsoft.ML.BatchNorm.Import.Tests.Build;

/// <summary>The package in an empty project.</summary>
[TestClass]
[DoNotParallelize]
public class PackageInstallTests
{
    const string Core = "Microsoft.ML.BatchNorm.Core", Library = "Microsoft.ML.BatchNorm.Import";

    const string Program = """
        using Microsoft.ML.BatchNorm.Import;

        Console.WriteLine(OnnxImport.Load("resnet.onnx").Network.OutputShape);

        """;

    [TestMethod]
    public void An_empty_project_that_installs_it_imports_a_network()
    {
        using var feed = new PackageFeed(Core, Library);
        var project = new EmptyProject(feed);
        File.Copy(
            Path.Combine(AppContext.BaseDirectory, "Files", "resnet.onnx"),
            Path.Combine(project.Folder, "resnet.onnx"));
        Assert.AreEqual("[7]", project.Run(Program, Library).TrimEnd());
        CollectionAssert.AreEquivalent(
            new[] { Core.ToLowerInvariant(), Library.ToLowerInvariant() }, project.Installed);
    }
}
