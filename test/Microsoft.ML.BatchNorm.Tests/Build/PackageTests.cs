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
    public void The_core_depends_on_nothing_and_the_library_on_the_core_and_ML_NET()
    {
        CollectionAssert.AreEqual(Array.Empty<string>(), feed!.Dependencies(Core));
        CollectionAssert.AreEqual(new[] { "Microsoft.ML", Core }, feed.Dependencies(Library));
    }

    [TestMethod]
    public void No_ML_NET_is_taken_whose_internal_members_were_not_tried() =>
        Assert.AreEqual("[5.0.1, 6.0.0)", feed!.VersionOf(Library, "Microsoft.ML"));

    [TestMethod]
    [DataRow(Core)]
    [DataRow(Library)]
    public void A_package_has_the_assembly_its_documentation_symbols_a_readme_and_an_icon(string library) =>
        feed!.AssertComplete(library);

    [TestMethod]
    public void The_icon_has_128_by_128_pixels()
    {
        byte[] png = File.ReadAllBytes(Path.Combine(DotNetBuild.Root, "src", "icon.png"));
        CollectionAssert.AreEqual("PNG"u8.ToArray(), png[1..4]);
        // Width and height, the greatest byte first.
        CollectionAssert.AreEqual(new byte[] { 0, 0, 0, 128, 0, 0, 0, 128 }, png[16..24]);
    }

    [TestMethod]
    public void A_second_build_writes_neither_the_copies_nor_the_library()
    {
        // The first one may have to write: the library carries the commit, which may have changed since it was built.
        Build();
        string[] written =
        [
            .. Directory.GetFiles(
                Path.Combine(DotNetBuild.Root, "src", Library, "obj", DotNetBuild.Configuration),
                "Microsoft.ML.*.dll", SearchOption.AllDirectories),
        ];
        Assert.IsTrue(written.Length >= 4, string.Join(", ", written));
        DateTime[] before = Array.ConvertAll(written, File.GetLastWriteTimeUtc);
        Build();
        CollectionAssert.AreEqual(before, Array.ConvertAll(written, File.GetLastWriteTimeUtc));

        static void Build() => DotNetBuild.Run("build", $"src/{Library}/{Library}.csproj");
    }
}
