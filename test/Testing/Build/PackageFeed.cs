using System.IO.Compression;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>
/// A folder of its own with the packages as they were built for the tests, which goes when this is disposed. Their
/// version is no other's, so that a package of the same name that the machine already has is never taken for theirs.
/// </summary>
sealed partial class PackageFeed : IDisposable
{
    const string Own = "Microsoft.ML.BatchNorm";

    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("packages-");

    public PackageFeed(params IEnumerable<string> libraries)
    {
        foreach (string library in libraries)
        {
            DotNetBuild.Run(
                "pack", Path.Combine("src", library, $"{library}.csproj"), "--no-build", "--output", Source,
                $"-p:Version={Version}", $"-p:NuspecOutputPath={folder.FullName}/nuspec/");
        }
    }

    public string Version { get; } = $"0.0.0-test.{Guid.NewGuid():N}";

    /// <summary>The whole folder, which has room for more.</summary>
    public string Folder => folder.FullName;

    /// <summary>The folder with the packages alone.</summary>
    public string Source => Path.Combine(folder.FullName, "feed");

    /// <summary>Whether a package is one of them.</summary>
    public bool Has(string library) => File.Exists(Path.Combine(Source, $"{library}.{Version}.nupkg"));

    /// <summary>The packages that a library asks for, by their names; its siblings must be of its version.</summary>
    public string[] Dependencies(string library)
    {
        XElement[] dependencies = Manifest(library, "dependency");
        foreach (XElement own in dependencies.Where(
            dependency => Id(dependency).StartsWith(Own, StringComparison.Ordinal)))
            Assert.AreEqual(Version, own.Attribute("version")!.Value);
        return [.. dependencies.Select(Id).Order(StringComparer.Ordinal)];

        static string Id(XElement dependency) => dependency.Attribute("id")!.Value;
    }

    /// <summary>The versions of a package that a library asks for.</summary>
    public string VersionOf(string library, string dependency) => Manifest(library, "dependency")
        .Single(element => element.Attribute("id")!.Value == dependency).Attribute("version")!.Value;

    /// <summary>The assembly with its documentation alone, a readme, an icon, a license; symbols beside it.</summary>
    public void AssertComplete(string library)
    {
        using ZipArchive package = Open(library, ".nupkg"), symbols = Open(library, ".snupkg");
        string[] names = [.. package.Entries.Select(entry => entry.FullName)];
        CollectionAssert.AreEquivalent(
            new[] { $"lib/net10.0/{library}.dll", $"lib/net10.0/{library}.xml" },
            names.Where(name => name.StartsWith("lib/", StringComparison.Ordinal)).ToArray());
        foreach ((string element, string value) in
            (ReadOnlySpan<(string, string)>)[("readme", "README.md"), ("icon", "icon.png"), ("license", "MIT")])
        {
            Assert.AreEqual(value, Manifest(library, element).Single().Value);
        }
        CollectionAssert.IsSubsetOf(new[] { "README.md", "icon.png" }, names);
        AssertStandsAlone(package.GetEntry("README.md")!);
        Assert.IsTrue(Manifest(library, "description").Single().Value.EndsWith('.'));
        Assert.IsNotNull(symbols.GetEntry($"lib/net10.0/{library}.pdb"));
    }

    public void Dispose() => folder.Delete(recursive: true);

    /// <summary>
    /// A gallery shows the package's readme by itself: with no picture or link to a file of the repository, and
    /// nonetheless with the first example.
    /// </summary>
    static void AssertStandsAlone(ZipArchiveEntry readme)
    {
        using var reader = new StreamReader(readme.Open());
        string text = reader.ReadToEnd().ReplaceLineEndings("\n");
        foreach (Match target in Link().Matches(text))
            StringAssert.StartsWith(target.Groups["target"].Value, "https://");
        string repository = File.ReadAllText(Path.Combine(DotNetBuild.Root, "README.md")).ReplaceLineEndings("\n");
        StringAssert.Contains(text, Example().Match(repository).Value);
    }

    [GeneratedRegex(@"\]\((?<target>[^)]*)\)")]
    private static partial Regex Link();

    [GeneratedRegex("```csharp\n.*?\n```", RegexOptions.Singleline)]
    private static partial Regex Example();

    XElement[] Manifest(string library, string element)
    {
        using ZipArchive package = Open(library, ".nupkg");
        using Stream nuspec = package.GetEntry($"{library}.nuspec")!.Open();
        return [.. XDocument.Load(nuspec).Descendants().Where(found => found.Name.LocalName == element)];
    }

    ZipArchive Open(string library, string extension) =>
        ZipFile.OpenRead(Path.Combine(Source, $"{library}.{Version}{extension}"));
}
