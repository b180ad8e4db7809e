using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Build;

[TestClass]
public class DirectionTests
{
    /// <summary>Each folder of the ML.NET layer refers to those before it only.</summary>
    static readonly string[] order = ["Access", "Columns", "Fitting", "Onnx", "Layer", "Networks"];

    /// <summary>Folders whose files will stand in Layer; they count as it.</summary>
    static readonly string[] partsOfLayer = ["Persistence", "Transformer"];

    [TestMethod]
    public void Each_folder_refers_to_those_below_it_only()
    {
        string[] all = [.. order[..^1], .. partsOfLayer, order[^1]];
        IEnumerable<FolderReference> wrong = FolderReferences.Wrong(
            FolderReferences.Of(
                typeof(BatchNormalizationTransformer).Assembly, "src/Microsoft.ML.BatchNorm", all), all);
        Assert.IsEmpty(wrong.Where(
            reference => reference.FromFolder != "Layer" || !partsOfLayer.Contains(reference.ToFolder)));
    }
}
