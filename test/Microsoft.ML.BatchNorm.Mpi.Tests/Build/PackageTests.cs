namespace Microsoft.ML.BatchNorm.Mpi.Tests.Build;

[TestClass]
public class PackageTests
{
    const string Library = "Microsoft.ML.BatchNorm.Mpi";

    [TestMethod]
    public void The_package_depends_on_the_core_alone_and_brings_no_native_file()
    {
        using var feed = new PackageFeed(Library);
        CollectionAssert.AreEqual(new[] { "Microsoft.ML.BatchNorm.Core" }, feed.Dependencies(Library));
        feed.AssertComplete(Library);
    }

    [TestMethod]
    public void The_assembly_refers_to_the_core_and_to_NET_alone() => Assert.AreEqual(
        "Microsoft.ML.BatchNorm.Core",
        string.Join(", ", typeof(Mpi).Assembly.GetReferencedAssemblies().Select(assembly => assembly.Name)
            .Where(name => !name!.StartsWith("System.", StringComparison.Ordinal))));

    [TestMethod]
    public void Each_method_that_only_returns_a_new_value_is_marked_as_pure() =>
        PureMethods.Check(typeof(Mpi).Assembly);

    [TestMethod]
    public void All_of_it_is_in_one_namespace() => Assert.AreEqual(
        Library,
        string.Join(", ", typeof(Mpi).Assembly.GetTypes().Select(type => type.Namespace).Distinct()
            .Where(name => name?.StartsWith("Microsoft.ML", StringComparison.Ordinal) == true)));
}
