using System.IO.Compression;
using System.Xml.Linq;

namespace Microsoft.ML.BatchNorm.Tests.Build;

[TestClass]
[DoNotParallelize]
public class PackageTests
{
    const string Library = "src/Microsoft.ML.BatchNorm/Microsoft.ML.BatchNorm.csproj";

    [TestMethod]
    public void The_package_depends_on_the_core_and_on_ML_NET_alone()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("package-");
        try
        {
            DotNetBuild.Run("pack", Library, "--no-build", "--output", folder.FullName);
            using ZipArchive package = ZipFile.OpenRead(folder.GetFiles("*.nupkg").Single().FullName);
            using Stream nuspec = package.Entries.Single(entry => entry.Name.EndsWith(".nuspec", StringComparison.Ordinal)).Open();
            string[] dependencies =
            [
                .. XDocument.Load(nuspec).Descendants().Where(element => element.Name.LocalName == "dependency")
                    .Select(dependency => dependency.Attribute("id")!.Value).Order(StringComparer.Ordinal),
            ];
            CollectionAssert.AreEqual(new[] { "Microsoft.ML", "Microsoft.ML.BatchNorm.Core" }, dependencies);
            string[] files = [.. package.Entries.Select(entry => entry.FullName)];
            CollectionAssert.IsSubsetOf(
                new[]
                {
                    "README.md", "lib/net10.0/Microsoft.ML.BatchNorm.dll", "lib/net10.0/Microsoft.ML.BatchNorm.xml",
                },
                files);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [TestMethod]
    public void A_second_build_writes_neither_the_copies_nor_the_library()
    {
        string[] written =
        [
            .. Directory.GetFiles(
                Path.Combine(DotNetBuild.Root, "src/Microsoft.ML.BatchNorm/obj", DotNetBuild.Configuration),
                "Microsoft.ML.*.dll", SearchOption.AllDirectories),
        ];
        Assert.IsTrue(written.Length >= 4, string.Join(", ", written));
        DateTime[] before = Array.ConvertAll(written, File.GetLastWriteTimeUtc);
        DotNetBuild.Run("build", Library);
        CollectionAssert.AreEqual(before, Array.ConvertAll(written, File.GetLastWriteTimeUtc));
    }
}
