using System.Reflection;

namespace Microsoft.ML.BatchNorm.Tests;

[TestClass]
public class DirectionTests
{
    /// <summary>Core's folders; each refers only to those before it.</summary>
    static readonly string[] core =
    [
        "Shapes", "Collectives", "Options", "Kernels", "BatchNormalization", "Networks", "Persistence", "Learning",
        "Engines", "Training", "Reports", "Drift", "Diagnosis",
    ];

    [TestMethod]
    public void Each_folder_of_Core_refers_to_those_below_it_only() => Assert.AreEqual(
        "", string.Join('\n', FolderReferences.Wrong(
            FolderReferences.Of(typeof(BatchNormalization).Assembly, "src/Microsoft.ML.BatchNorm.Core", core), core)));

    [TestMethod]
    public void All_of_Core_is_in_one_namespace() =>
        Assert.AreEqual("Microsoft.ML.BatchNorm", Namespaces.Of(typeof(BatchNormalization).Assembly));

    [TestMethod]
    [DataRow("ByBase", "UpperBase")]
    [DataRow("ByInterface", "IUpper")]
    [DataRow("ByField", "UpperNumber")]
    [DataRow("IByParameter", "UpperNumber")]
    [DataRow("ByConstraint", "IUpper")]
    [DataRow("ByGenericArgument", "UpperBase")]
    [DataRow("ByLocal", "UpperValue")]
    [DataRow("ByCall", "UpperBase")]
    [DataRow("ByLambda", "UpperCall")]
    [DataRow("ByIterator", "UpperBase")]
    public void A_reference_against_the_order_is_found_with_both_names(string from, string to)
    {
        string[] wrong = [.. Wrong(order: ["Build/Directions/Lower", "Build/Directions/Upper"])];

        Assert.Contains($"Build/Directions/Lower/{from} refers to Build/Directions/Upper/{to}", wrong);
    }

    [TestMethod]
    public void A_reference_in_the_order_is_right()
    {
        Assert.IsEmpty(Wrong(order: ["Build/Directions/Upper", "Build/Directions/Lower"]));
        Assert.IsFalse(
            Wrong(order: ["Build/Directions/Lower", "Build/Directions/Upper"])
                .Any(reference => reference.Contains("Innocent", StringComparison.Ordinal)));
    }

    [TestMethod]
    public void A_folder_that_is_not_in_the_order_is_an_error()
    {
        AssertFailedException error = Assert.ThrowsExactly<AssertFailedException>(
            () => FolderReferences.Of(
                typeof(BatchNormalization).Assembly, "src/Microsoft.ML.BatchNorm.Core", ["Shapes", "Options"]));

        Assert.Contains("is not in the order of folders", error.Message);
    }

    /// <summary>The wrong references between the two folders of this assembly that were made for it.</summary>
    static IEnumerable<string> Wrong(string[] order)
    {
        string[] all =
        [
            .. order, "",
            .. Directory.GetDirectories(Path.Combine(DotNetBuild.Root, Sources))
                .Select(folder => Path.GetFileName(folder)!),
        ];
        return FolderReferences.Wrong(FolderReferences.Of(Assembly.GetExecutingAssembly(), Sources, all), all)
            .Where(reference => reference.FromFolder == order[0]).Select(reference => reference.ToString());
    }

    const string Sources = "test/Microsoft.ML.BatchNorm.Core.Tests";
}
