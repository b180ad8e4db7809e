using Microsoft.ML.BatchNorm.Tests.Persistence;

namespace Microsoft.ML.BatchNorm.Tests.Trainers;

/// <summary>Trained models in a process that names no type of this library, and as graphs.</summary>
[TestClass]
public class TrainedModelFileTests
{
    static readonly MLContext context = new(1);

    static readonly IDataView Rows = Blobs.Plain(context), Few = Blobs.Plain(context, count: 30, seed: 5);

    static readonly Dictionary<string, Func<IEstimator<ITransformer>>> trainers = new()
    {
        ["multiclass"] = () => Blobs.Multiclass(context, options => options.Epochs = 2),
        ["binary"] = () => Blobs.Binary(context, options => options.Epochs = 2),
        ["regression"] = () => Blobs.Regression(context, options => options.Epochs = 2),
        ["one versus all"] = () => context.MulticlassClassification.Trainers.OneVersusAll(
            Blobs.Binary(context, options => (options.LabelColumnName, options.Epochs) = ("Label", 2))),
        ["calibrated"] = () => Blobs.Binary(context, options => options.Epochs = 2)
            .Append(context.BinaryClassification.Calibrators.Platt("IsRed")),
        ["features for a linear trainer"] = () => context.Transforms.ApplyNetwork(
                "Deep", Blobs.Multiclass(context, options => options.Epochs = 2).Fit(Rows), "re_lu", "Features")
            .Append(context.MulticlassClassification.Trainers.LbfgsMaximumEntropy("Label", "Deep")),
    };

    public static IEnumerable<object[]> Trainers => trainers.Keys.Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(Trainers))]
    public void A_process_that_has_never_touched_the_library_gives_the_same_values(string name)
    {
        ITransformer model = trainers[name]().Fit(Rows);
        IDataView other = FreshProcess.Transform(model, Few), own = model.Transform(Few);
        // A file has no hidden columns.
        own = context.Transforms.SelectColumns([.. other.Schema.Select(column => column.Name)]).Fit(own).Transform(own);
        string[] expected = Estimator.Table.Values(own), actual = Estimator.Table.Values(other);
        Assert.HasCount(30, actual);
        for (int row = 0; row < expected.Length; row++)
            Assert.AreEqual(expected[row], actual[row], $"row {row}");
    }

    [TestMethod]
    [DataRow("multiclass", "Score", "PredictedLabel")]
    [DataRow("binary", "Score", "Probability", "PredictedLabel")]
    [DataRow("regression", "Score")]
    [DataRow("one versus all", "Score", "PredictedLabel")]
    [DataRow("calibrated", "Score", "Probability", "PredictedLabel")]
    [DataRow("features for a linear trainer", "Deep", "Score", "PredictedLabel")]
    public void A_graph_gives_the_same_values(string name, params string[] columns)
    {
        ITransformer model = trainers[name]().Fit(Rows);
        Onnx.Exported.AssertSameValues(Onnx.OnnxModel.Of(model, Few), model, Few, columns);
    }
}
