using System.Globalization;
using System.Text.Json;
using System.Xml.Linq;
using Microsoft.ML.BatchNorm.Tests.Documents;

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
        string project = Directory.CreateDirectory(Path.Combine(feed.Folder, "Example")).FullName;
        Project(feed).Save(Path.Combine(project, "Example.csproj"));
        CodeBlock example = MarkdownDocument.Blocks("README.md").First(block => block.Language == "csharp");
        File.WriteAllText(Path.Combine(project, "Program.cs"), example.Setup + example.Code);
        DocumentData.Write(project);

        DotNetBuild.Execute(
            ["build", "--output", "bin", "-nodeReuse:false", "-tl:off", "-verbosity:quiet"], project);
        string output = DotNetBuild.Execute(["exec", Path.Combine("bin", "Example.dll")], project).TrimEnd();

        if (example.Output is not null)
            Assert.AreEqual(example.Output, output.ReplaceLineEndings("\n"));
        else
            Assert.IsTrue(double.Parse(output, CultureInfo.InvariantCulture) is > 0 and < 0.5, output);
        CollectionAssert.AreEquivalent(
            new[] { "microsoft.ml.batchnorm", "microsoft.ml.batchnorm.core" },
            Directory.GetDirectories(Path.Combine(feed.Folder, "packages")).Select(Path.GetFileName).ToArray());
    }

    /// <summary>
    /// A project like a new one. What the machine has already restored is read where it lies; the packages under test,
    /// which it lacks, come from the feed and go into its folder, so that nothing is written outside.
    /// </summary>
    static XElement Project(PackageFeed feed) => new(
        "Project", new XAttribute("Sdk", "Microsoft.NET.Sdk"),
        new XElement(
            "PropertyGroup",
            new XElement("OutputType", "Exe"),
            new XElement("TargetFramework", "net10.0"),
            new XElement("Nullable", "enable"),
            new XElement("ImplicitUsings", "enable"),
            new XElement("UseAppHost", "false"),
            new XElement("UseSharedCompilation", "false"),
            new XElement("NuGetAudit", "false"),
            new XElement("RestoreAdditionalProjectSources", feed.Source),
            new XElement("RestorePackagesPath", Path.Combine(feed.Folder, "packages")),
            new XElement("RestoreFallbackFolders", string.Join(';', RestoredFolders()))),
        new XElement(
            "ItemGroup",
            Package("Microsoft.ML.BatchNorm", feed.Version),
            Package("Microsoft.ML.OnnxConverter", VersionOf("Microsoft.ML.OnnxConverter"))));

    static XElement Package(string id, string version) =>
        new("PackageReference", new XAttribute("Include", id), new XAttribute("Version", version));

    /// <summary>The version that this repository is built with.</summary>
    static string VersionOf(string package) =>
        XDocument.Load(Path.Combine(DotNetBuild.Root, "Directory.Packages.props")).Descendants("PackageVersion")
            .Single(version => version.Attribute("Include")!.Value == package).Attribute("Version")!.Value;

    /// <summary>The folders that hold what these tests were restored from.</summary>
    static string[] RestoredFolders()
    {
        string assets = Path.Combine(DotNetBuild.Root, "test/Microsoft.ML.BatchNorm.Tests/obj/project.assets.json");
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(assets));
        return [.. json.RootElement.GetProperty("packageFolders").EnumerateObject().Select(folder => folder.Name)];
    }
}
