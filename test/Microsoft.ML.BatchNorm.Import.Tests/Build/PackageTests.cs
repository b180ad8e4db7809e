namespace Microsoft.ML.BatchNorm.Import.Tests.Build;

[TestClass]
[DoNotParallelize]
public class PackageTests
{
    const string Library = "Microsoft.ML.BatchNorm.Import";

    [TestMethod]
    public void The_package_depends_on_the_core_and_Google_s_protocol_buffers()
    {
        using var feed = new PackageFeed(Library);
        CollectionAssert.AreEqual(
            new[] { "Google.Protobuf", "Microsoft.ML.BatchNorm.Core" }, feed.Dependencies(Library));
        feed.AssertComplete(Library);
    }

    [TestMethod]
    public void Each_method_that_only_returns_a_new_value_is_marked_as_pure() =>
        PureMethods.Check(typeof(OnnxImport).Assembly);

    [TestMethod]
    public void All_of_it_is_in_one_namespace() => Assert.AreEqual(
        Library,
        string.Join(", ", typeof(OnnxImport).Assembly.GetTypes().Select(type => type.Namespace).Distinct()
            .Where(name => name?.StartsWith("Microsoft.ML", StringComparison.Ordinal) == true)));
}
