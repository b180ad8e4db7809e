using System.Xml.Linq;

namespace Tools;

/// <summary>The repository that the running build program belongs to.</summary>
public static class Repository
{
    /// <summary>
    /// The root, found from the running program's own source file, so that the current directory does not matter.
    /// </summary>
    public static string Root { get; } =
        Path.GetDirectoryName((string)AppContext.GetData("EntryPointFileDirectoryPath")!)!;

    /// <summary>The name of the running program: <c>test</c> for build/test.cs.</summary>
    public static string Program { get; } =
        Path.GetFileNameWithoutExtension((string)AppContext.GetData("EntryPointFilePath")!);

    /// <summary>All projects under src and test, in the order of their names.</summary>
    public static IReadOnlyList<Project> Projects { get; } =
        [.. new[] { "src", "test" }.SelectMany(ProjectFiles).Select(path => new Project(path)).OrderBy(p => p.Name)];

    /// <summary>The project of the given name.</summary>
    public static Project Find(string name) =>
        Projects.SingleOrDefault(project => project.Name == name)
        ?? throw new InvalidOperationException($"There is no project {name} under {Root}.");

    /// <summary>A project and all that it references, directly or not.</summary>
    public static IReadOnlyList<Project> WithReferences(Project project)
    {
        var found = new List<Project> { project };
        for (int i = 0; i < found.Count; i++)
        {
            Project current = found[i];
            found.AddRange(Projects.Where(
                p => current.References.Any(path => Project.SamePath(path, p.Path)) && !found.Contains(p)));
        }
        return found;
    }

    /// <summary>The version that Directory.Packages.props gives a package, or null where it names none.</summary>
    public static string? PackageVersion(string package)
    {
        var versions = XDocument.Load(Path.Combine(Root, "Directory.Packages.props"));
        string? version = versions.Descendants("PackageVersion")
            .FirstOrDefault(version => version.Attribute("Include")?.Value == package)
            ?.Attribute("Version")?.Value;
        return version?.StartsWith("$(", StringComparison.Ordinal) == true
            ? Property(versions, version[2..^1])
            : version;
    }

    static string? Property(XDocument versions, string name) =>
        Environment.GetEnvironmentVariable(name) ?? versions.Descendants(name).FirstOrDefault()?.Value;

    static IEnumerable<string> ProjectFiles(string folder) =>
        Directory.EnumerateFiles(Path.Combine(Root, folder), "*.csproj", SearchOption.AllDirectories)
            .Where(path => !Path.GetRelativePath(Root, path).Split('/', '\\').Any(part => part is "bin" or "obj"));
}
