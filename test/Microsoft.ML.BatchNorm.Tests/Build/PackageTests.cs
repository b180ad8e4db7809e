using System.IO.Compression;
using System.Xml.Linq;

namespace Microsoft.ML.BatchNorm.Tests.Build;

[TestClass]
[DoNotParallelize]
public class PackageTests
{
    const string Core = "Microsoft.ML.BatchNorm.Core", Library = "Microsoft.ML.BatchNorm";

    static PackageFeed? feed;

    [ClassInitialize]
    public static void Pack(TestContext context) => feed = new PackageFeed(Core, Library);

    [ClassCleanup]
    public static void Delete() => feed?.Dispose();

    [TestMethod]
    [DataRow(Core, "")]
    [DataRow(Library, "Microsoft.ML, Microsoft.ML.BatchNorm.Core")]
    public void The_core_depends_on_nothing_and_the_library_on_the_core_and_ML_NET(string library, string expected)
    {
        string dependencies = string.Join(
            ", ",
            Manifest(library, "dependency").Select(dependency => dependency.Attribute("id")!.Value)
                .Order(StringComparer.Ordinal));
        Assert.AreEqual(expected, dependencies);
    }

    [TestMethod]
    public void The_library_asks_for_the_core_of_its_own_version()
    {
        XElement core = Manifest(Library, "dependency").Single(dependency => dependency.Attribute("id")!.Value == Core);
        Assert.AreEqual(feed!.Version, core.Attribute("version")!.Value);
    }

    [TestMethod]
    [DataRow(Core)]
    [DataRow(Library)]
    public void A_package_has_the_assembly_its_documentation_a_readme_and_an_icon(string library)
    {
        using ZipArchive package = feed!.Open(library);
        string[] expected = ["README.md", "icon.png", $"lib/net10.0/{library}.dll", $"lib/net10.0/{library}.xml"];
        CollectionAssert.IsSubsetOf(expected, Names(package));
        Assert.AreEqual(2, Names(package).Count(name => name.StartsWith("lib/", StringComparison.Ordinal)));
        Assert.AreEqual("README.md", Manifest(library, "readme").Single().Value);
        Assert.AreEqual("icon.png", Manifest(library, "icon").Single().Value);
        Assert.AreEqual("MIT", Manifest(library, "license").Single().Value);
        Assert.IsTrue(Manifest(library, "description").Single().Value.EndsWith('.'));
    }

    [TestMethod]
    [DataRow(Core)]
    [DataRow(Library)]
    public void The_symbols_are_a_package_beside_it(string library)
    {
        using ZipArchive symbols = feed!.Open(library, ".snupkg");
        CollectionAssert.Contains(Names(symbols), $"lib/net10.0/{library}.pdb");
    }

    [TestMethod]
    public void The_icon_has_128_by_128_pixels()
    {
        byte[] png = File.ReadAllBytes(Path.Combine(DotNetBuild.Root, "src", "icon.png"));
        CollectionAssert.AreEqual("PNG"u8.ToArray(), png[1..4]);
        // The header's first two numbers are width and height, the greatest byte first.
        CollectionAssert.AreEqual(new byte[] { 0, 0, 0, 128, 0, 0, 0, 128 }, png[16..24]);
    }

    [TestMethod]
    public void A_second_build_writes_neither_the_copies_nor_the_library()
    {
        string[] written =
        [
            .. Directory.GetFiles(
                Path.Combine(DotNetBuild.Root, "src", Library, "obj", DotNetBuild.Configuration),
                "Microsoft.ML.*.dll", SearchOption.AllDirectories),
        ];
        Assert.IsTrue(written.Length >= 4, string.Join(", ", written));
        DateTime[] before = Array.ConvertAll(written, File.GetLastWriteTimeUtc);
        DotNetBuild.Run("build", $"src/{Library}/{Library}.csproj");
        CollectionAssert.AreEqual(before, Array.ConvertAll(written, File.GetLastWriteTimeUtc));
    }

    static XElement[] Manifest(string library, string element)
    {
        using ZipArchive package = feed!.Open(library);
        using Stream nuspec = package.GetEntry($"{library}.nuspec")!.Open();
        return [.. XDocument.Load(nuspec).Descendants().Where(found => found.Name.LocalName == element)];
    }

    static string[] Names(ZipArchive package) => [.. package.Entries.Select(entry => entry.FullName)];
}
