using System.Reflection;
using System.Text.Json;
using System.Xml.Linq;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>
/// A project like a new one, in the feed's folder. What the machine has already restored is read where it lies; the
/// packages under test, which it lacks, come from the feed and go into its folder, so that nothing is written outside.
/// </summary>
sealed class EmptyProject(PackageFeed feed)
{
    /// <summary>The project's folder.</summary>
    public string Folder { get; } = Directory.CreateDirectory(Path.Combine(feed.Folder, "Example")).FullName;

    /// <summary>The packages that were restored for it alone.</summary>
    public string[] Installed =>
        [.. Directory.GetDirectories(Path.Combine(feed.Folder, "packages")).Select(folder => Path.GetFileName(folder))];

    /// <summary>Builds and runs a program with packages, and gives what it printed.</summary>
    /// <param name="program">The program.</param>
    /// <param name="packages">Of the feed's, or of those that this repository is built with.</param>
    public string Run(string program, params IEnumerable<string> packages)
    {
        Project(packages).Save(Path.Combine(Folder, "Example.csproj"));
        File.WriteAllText(Path.Combine(Folder, "Program.cs"), program);
        DotNetBuild.Execute(["build", "--output", "bin", "-tl:off", "-verbosity:quiet"], Folder);
        return DotNetBuild.Execute(["exec", Path.Combine("bin", "Example.dll")], Folder);
    }

    XElement Project(IEnumerable<string> packages) => new(
        "Project", new XAttribute("Sdk", "Microsoft.NET.Sdk"),
        new XElement(
            "PropertyGroup",
            new XElement("OutputType", "Exe"),
            new XElement("TargetFramework", "net10.0"),
            new XElement("Nullable", "enable"),
            new XElement("ImplicitUsings", "enable"),
            new XElement("UseAppHost", "false"),
            new XElement("NuGetAudit", "false"),
            new XElement("RestoreAdditionalProjectSources", feed.Source),
            new XElement("RestorePackagesPath", Path.Combine(feed.Folder, "packages")),
            new XElement("RestoreFallbackFolders", string.Join(';', RestoredFolders()))),
        new XElement("ItemGroup", packages.Select(id => new XElement(
            "PackageReference", new XAttribute("Include", id),
            new XAttribute("Version", feed.Has(id) ? feed.Version : VersionOf(id))))));

    /// <summary>The version that this repository is built with.</summary>
    static string VersionOf(string package)
    {
        XDocument properties = XDocument.Load(Path.Combine(DotNetBuild.Root, "Directory.Packages.props"));
        string version = properties.Descendants("PackageVersion")
            .Single(element => element.Attribute("Include")!.Value == package).Attribute("Version")!.Value;
        if (!version.StartsWith("$(", StringComparison.Ordinal))
            return version;
        string property = version[2..^1];
        return Environment.GetEnvironmentVariable(property) ?? properties.Descendants(property).Single().Value;
    }

    /// <summary>The folders that hold what these tests were restored from.</summary>
    static string[] RestoredFolders()
    {
        string tests = Assembly.GetEntryAssembly()!.GetName().Name!;
        using JsonDocument json = JsonDocument.Parse(
            File.ReadAllText(Path.Combine(DotNetBuild.Root, "test", tests, "obj", "project.assets.json")));
        return [.. json.RootElement.GetProperty("packageFolders").EnumerateObject().Select(folder => folder.Name)];
    }
}
