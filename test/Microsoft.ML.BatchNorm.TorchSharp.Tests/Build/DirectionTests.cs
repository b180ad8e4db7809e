namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Build;

[TestClass]
public class DirectionTests
{
    /// <summary>Each folder of the engine refers to those before it only; the root holds the aliases.</summary>
    static readonly string[] order = ["", "Runtime", "Modules", "Switches", "Engine"];

    [TestMethod]
    public void Each_folder_refers_to_those_below_it_only() => Assert.IsEmpty(FolderReferences.Wrong(
        FolderReferences.Of(typeof(TorchEngine).Assembly, "src/Microsoft.ML.BatchNorm.TorchSharp", order), order));

    [TestMethod]
    public void The_switches_stand_beside_the_engine() => Assert.DoesNotContain(
        reference => reference.ToFolder == "Switches",
        FolderReferences.Of(typeof(TorchEngine).Assembly, "src/Microsoft.ML.BatchNorm.TorchSharp", order));

    [TestMethod]
    public void All_of_the_engine_is_in_one_namespace() =>
        Assert.AreEqual("Microsoft.ML.BatchNorm.TorchSharp", Namespaces.Of(typeof(TorchEngine).Assembly));
}
