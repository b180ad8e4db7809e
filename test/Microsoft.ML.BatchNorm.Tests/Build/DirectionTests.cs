using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Build;

[TestClass]
public class DirectionTests
{
    /// <summary>Each folder of the ML.NET layer refers to those before it only.</summary>
    static readonly string[] order = ["Access", "Columns", "Fitting", "Onnx", "Layer", "Chains", "Networks"];

    [TestMethod]
    public void Each_folder_refers_to_those_below_it_only() => Assert.AreEqual(
        "", string.Join('\n', FolderReferences.Wrong(
            FolderReferences.Of(
                typeof(BatchNormalizationTransformer).Assembly, "src/Microsoft.ML.BatchNorm", order), order)));

    [TestMethod]
    public void Its_types_are_where_those_of_ML_NET_are() => Assert.AreEqual(
        "Microsoft.ML, Microsoft.ML.Trainers, Microsoft.ML.Transforms",
        Namespaces.Of(typeof(BatchNormalizationTransformer).Assembly));
}
