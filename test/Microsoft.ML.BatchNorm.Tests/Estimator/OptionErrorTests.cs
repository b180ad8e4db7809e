using Microsoft.ML.BatchNorm.Tests.Fitting;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Estimator;

/// <summary>What is out of range is an argument error that names the option, when the estimator is made.</summary>
[TestClass]
public class OptionErrorTests
{
    [TestMethod]
    public void Options_out_of_range_are_named()
    {
        AssertNamed("BatchSize", options => options.BatchSize = 0);
        AssertNamed("Epochs", options => options.Epochs = -1);
        AssertNamed("NumberOfThreads", options => options.NumberOfThreads = 0);
        AssertNamed("TrainDownstreamOn", options => options.TrainDownstreamOn = (DownstreamStatistics)7);
        AssertNamed("Columns", options => options.Columns = []);
        AssertNamed("Columns", options => options.Columns = null!);
        AssertNamed("Layer", options => options.Layer = null!);
    }

    [TestMethod]
    public void A_batch_of_more_values_than_an_array_holds_is_an_error_of_the_option_BatchSize()
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(20, 3)), 3);
        foreach (int size in (int[])[int.MaxValue, 1_000_000_000])
        {
            AssertNamed("BatchSize", () => Fits.Fit(view, BatchNormalizationOptions.Keras, size));
            IDataView seen = ((ITransformerWithDifferentMappingAtTrainingTime)Fits.Estimator(options =>
                (options.BatchSize, options.TrainDownstreamOn) = (size, DownstreamStatistics.Batch)).Fit(view))
                .TransformForTrainingPipeline(view);
            AssertNamed("BatchSize", () => seen.GetRowCursor(seen.Schema));
        }
    }

    [TestMethod]
    public void Contradictions_within_the_layer_are_those_of_the_option_Layer()
    {
        AssertNamed("Layer", options => options.Layer = new() { Renorm = new(), VirtualBatchSize = 4 });
        AssertNamed("Layer", options => options.Layer = new() { TrackMovingStatistics = false });
    }

    [TestMethod]
    public void The_batch_s_axis_is_no_axis_of_a_row()
    {
        AssertNamed("Axis", options => options.Layer = new() { Axis = 0 });
        AssertNamed("Axis", () => View.ML.Transforms.BatchNormalization(
            "Y", Saved(BatchNormalizationOptions.Keras with { Axis = 0 }), trainable: true));
    }

    [TestMethod]
    public void Columns_without_names_are_refused()
    {
        AssertNamed("Columns", options => options.Columns = [new InputOutputColumnPair("Y", "X"), null!]);
        AssertNamed("Columns", () => View.ML.Transforms.BatchNormalization("Y", ""));
        AssertNamed("outputColumnName", () => View.ML.Transforms.BatchNormalization("", "X"));
        AssertNamed("MaskColumnName", options => options.MaskColumnName = "");
        AssertNamed("inputColumnName", () => View.ML.Transforms.BatchNormalization(
            "Y", Saved(BatchNormalizationOptions.Keras), trainable: true, inputColumnName: ""));
    }

    [TestMethod]
    public void Two_outputs_of_one_name_are_refused() =>
        AssertNamed("Columns", options => options.Columns =
            [new InputOutputColumnPair("Y", "X"), new InputOutputColumnPair("Y", "Z")]);

    [TestMethod]
    public void Momentum_and_epsilon_are_named()
    {
        foreach (double wrong in (double[])[-0.1, 1.1, double.NaN])
            StringAssert.Contains(
                Assert.ThrowsExactly<ArgumentOutOfRangeException>(
                    () => View.ML.Transforms.BatchNormalization("Y", "X", momentum: wrong)).Message, "Momentum");
        foreach (double wrong in (double[])[-0.1, double.PositiveInfinity, double.NaN])
            StringAssert.Contains(
                Assert.ThrowsExactly<ArgumentOutOfRangeException>(
                    () => View.ML.Transforms.BatchNormalization("Y", "X", epsilon: wrong)).Message, "Epsilon");
    }

    [TestMethod]
    public void What_is_missing_is_named()
    {
        TransformsCatalog catalog = View.ML.Transforms;
        AssertNamed("options", () => catalog.BatchNormalization((BatchNormalizationEstimator.Options)null!));
        AssertNamed(
            "pretrained", () => catalog.BatchNormalization((BatchNormalizationTransformer)null!, trainable: true));
        AssertNamed(
            "pretrained", () => catalog.BatchNormalization("Y", (SavedBatchNormalization)null!, trainable: true));
        AssertNamed("pretrained", () => catalog.BatchNormalization(
            (BatchNormalizationTransformer)null!, new BatchNormalizationEstimator.Options()));
        AssertNamed("options", () => catalog.BatchNormalization(
            Layers.Transformer(2), (BatchNormalizationEstimator.Options)null!));
        AssertNamed("outputColumnName", () => catalog.BatchNormalization(
            "", Saved(BatchNormalizationOptions.Keras), trainable: true));
        AssertNamed("input", () => catalog.BatchNormalization("Y").Fit(null!));
        AssertNamed("inputSchema", () => catalog.BatchNormalization("Y").GetOutputSchema(null!));
        AssertNamed("previous", () => catalog.BatchNormalization("Y").Fit(View.Scalars(1f), null!));
    }

    [TestMethod]
    public void A_state_that_does_not_fit_the_layer_is_refused() =>
        AssertNamed("pretrained", () => View.ML.Transforms.BatchNormalization(
            "Y", Saved(BatchNormalizationOptions.Keras) with { State = Sample.State(new() { Scale = false }, 2) },
            trainable: true));

    static SavedBatchNormalization Saved(BatchNormalizationOptions options) => new(options, Sample.State(options, 2));

    static void AssertNamed(string name, Action<BatchNormalizationEstimator.Options> change)
    {
        var options = new BatchNormalizationEstimator.Options { Columns = [new InputOutputColumnPair("Y", "X")] };
        change(options);
        AssertNamed(name, () => View.ML.Transforms.BatchNormalization(options));
    }

    static void AssertNamed(string name, Action action)
    {
        var error = Assert.Throws<ArgumentException>(action);
        StringAssert.Contains(error.Message, name);
        Assert.IsFalse(error.Message.StartsWith("Must", StringComparison.Ordinal), error.Message);
        Assert.AreEqual(2, error.Message.Split("(Parameter ").Length, error.Message);
        Assert.IsTrue(Microsoft.ML.Runtime.Contracts.IsMarked(error), "The error is not ML.NET's.");
    }
}
