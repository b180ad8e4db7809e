using System.Globalization;

namespace Microsoft.ML.BatchNorm.Tests.Build;

/// <summary>The packages in an empty project, as one who has the README alone would try them.</summary>
[TestClass]
[DoNotParallelize]
public class PackageInstallTests
{
    [TestMethod]
    public void An_empty_project_that_installs_them_runs_the_readme_s_first_example()
    {
        using var feed = new PackageFeed("Microsoft.ML.BatchNorm.Core", "Microsoft.ML.BatchNorm");
        var project = new EmptyProject(feed);
        CodeBlock example = MarkdownDocument.Blocks("README.md").First(block => block.Language == "csharp");
        DocumentData.Write(project.Folder);
        string output = project.Run(
            example.Setup + example.Code, "Microsoft.ML.BatchNorm", "Microsoft.ML.OnnxConverter").TrimEnd();

        if (example.Output is not null)
            Assert.AreEqual(example.Output, output.ReplaceLineEndings("\n"));
        else
            Assert.IsTrue(double.Parse(output, CultureInfo.InvariantCulture) is > 0 and < 0.5, output);
        CollectionAssert.AreEquivalent(
            new[] { "microsoft.ml.batchnorm", "microsoft.ml.batchnorm.core" }, project.Installed);
    }
}
