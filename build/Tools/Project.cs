using System.Xml.Linq;

namespace Tools;

/// <summary>A project file, as far as building and testing need to know it.</summary>
public sealed class Project
{
    readonly XDocument xml;

    public Project(string path)
    {
        Path = System.IO.Path.GetFullPath(path);
        xml = XDocument.Load(Path);
        References = [.. Includes("ProjectReference").Select(Absolute)];
    }

    /// <summary>The full path of the project file.</summary>
    public string Path { get; }

    /// <summary>The file's name without its extension.</summary>
    public string Name => System.IO.Path.GetFileNameWithoutExtension(Path);

    /// <summary>Whether it holds MSTest tests.</summary>
    public bool IsTest => Includes("PackageReference").Contains("MSTest.TestFramework");

    /// <summary>The ids of the packages that it can do without.</summary>
    public IEnumerable<string> OptionalPackages =>
        xml.Descendants("PackageReference").Where(reference => reference.Attribute("Condition") is not null)
            .Select(reference => reference.Attribute("Include")!.Value);

    /// <summary>The full paths of the projects that it references itself.</summary>
    public IReadOnlyList<string> References { get; }

    /// <summary>Whether two paths name the same file, however the file system thinks about case.</summary>
    public static bool SamePath(string left, string right) =>
        string.Equals(left, right, StringComparison.OrdinalIgnoreCase);

    public override string ToString() => Name;

    IEnumerable<string> Includes(string item) =>
        xml.Descendants(item).Attributes("Include").Select(include => include.Value);

    string Absolute(string reference) =>
        System.IO.Path.GetFullPath(
            reference.Replace('\\', '/'), System.IO.Path.GetDirectoryName(Path)!);
}
