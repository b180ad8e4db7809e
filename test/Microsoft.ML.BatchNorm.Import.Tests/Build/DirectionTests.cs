namespace Microsoft.ML.BatchNorm.Import.Tests.Build;

[TestClass]
public class DirectionTests
{
    /// <summary>Each folder of the import refers to those before it only; the root has the public class.</summary>
    static readonly string[] order = ["Onnx", ""];

    [TestMethod]
    public void Each_folder_refers_to_those_below_it_only() => Assert.AreEqual(
        "", string.Join('\n', FolderReferences.Wrong(
            FolderReferences.Of(typeof(OnnxImport).Assembly, "src/Microsoft.ML.BatchNorm.Import", order), order)));

    [TestMethod]
    public void All_of_the_import_is_in_one_namespace() =>
        Assert.AreEqual("Microsoft.ML.BatchNorm.Import", Namespaces.Of(typeof(OnnxImport).Assembly));
}
