
namespace Microsoft.ML.BatchNorm.TorchSharp.Tests;

[TestClass]
[DoNotParallelize]
public class PackageTests
{
    const string Library = "Microsoft.ML.BatchNorm.TorchSharp";

    [TestMethod]
    public void The_package_depends_on_the_core_and_TorchSharp_and_chooses_no_native_runtime()
    {
        using var feed = new PackageFeed(Library);
        CollectionAssert.AreEqual(new[] { "Microsoft.ML.BatchNorm.Core", "TorchSharp" }, feed.Dependencies(Library));
        feed.AssertComplete(Library);
    }

    [TestMethod]
    public void Each_method_that_only_returns_a_new_value_is_marked_as_pure() =>
        PureMethods.Check(typeof(TorchEngine).Assembly);
}
