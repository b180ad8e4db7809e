using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>A model that version 1 wrote is kept beside the tests, and loads for ever.</summary>
[TestClass]
public class StoredModelTests
{
    [TestMethod]
    public void A_model_of_version_1_has_every_value_its_settings_and_what_its_columns_were_fitted_to()
    {
        string path = Path.Combine(AppContext.BaseDirectory, "Persistence", "Files", "model-1.zip");
        var loaded = (BatchNormalizationTransformer)View.ML.Model.Load(path, out DataViewSchema schema);
        Assert.AreEqual(Model.Values(Layers.Settings), Model.Values(loaded.Settings));
        Assert.AreEqual("Vector<Single, 2, 3>", schema["X"].Type.ToString());
        BatchNormalizationColumn first = loaded.Columns[0], second = loaded.Columns[1];
        Assert.AreEqual(("Y", "X"), (first.OutputColumnName, first.InputColumnName));
        Assert.AreEqual(("Z", "X"), (second.OutputColumnName, second.InputColumnName));
        Assert.AreEqual(StoredOptions.Unusual, first.Options);
        Assert.AreEqual(StoredOptions.Bare, second.Options);
        Assert.AreEqual(First, first.State);
        Assert.AreEqual(Second, second.State);
        Assert.AreEqual(new FittedInput(new TensorShape(2, 3), false), first.Input);
        Assert.AreEqual(new FittedInput(new TensorShape(2, 3), true), second.Input);
    }

    internal static BatchNormalizationState First { get; } = new(
        (double[])[0.5, -3], (double[])[4, 1e-300], (float[])[1.5f, -0.7f], (float[])[0, 0.3f],
        batchesSeen: 12345678901,
        new RenormStatistics((double[])[2, 0.25], (double[])[0.75, -2.5], (double[])[1.75, 0]));

    internal static BatchNormalizationState Second { get; } =
        new((double[])[1, 2, 1.0 / 3], (double[])[0, 0.25, 1e300], batchesSeen: 3);
}
