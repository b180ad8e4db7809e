using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Errors;

/// <summary>The error of a row or a column says where it is, and what to do.</summary>
[TestClass]
public class DataMessageTests
{
    const string Named = "row 1, slot 1 ('Rooms') has NaN. Replace it before with ReplaceMissingValues";

    sealed record House(float Area, float Rooms, float Price, bool Flag = false);

    sealed record Unsized(float[] X);

    static IDataView Houses(float rooms = float.NaN) => View.ML.Transforms.Concatenate("Features", "Area", "Rooms")
        .Fit(Load(rooms)).Transform(Load(rooms));

    [TestMethod]
    [DataRow(MovingStatistics.Population, 1), DataRow(MovingStatistics.Population, 3)]
    [DataRow(MovingStatistics.Exponential, 1), DataRow(MovingStatistics.Exponential, 3)]
    public void A_fit_names_the_slot_of_a_missing_value_and_what_to_do(MovingStatistics kind, int threads)
    {
        var estimator = View.ML.Transforms.BatchNormalization(new BatchNormalizationEstimator.Options
        {
            Columns = [new InputOutputColumnPair("Features")],
            Layer = BatchNormalizationOptions.Keras with { MovingStatistics = kind },
            NumberOfThreads = threads,
        });
        Says(Named + ", or set NonFinite.Ignore in the layer's options.", () => estimator.Fit(Houses()));
        Says(
            "slot 1 ('Rooms') has Infinity. Replace it before, or set NonFinite.Ignore",
            () => estimator.Fit(Houses(float.PositiveInfinity)));
    }

    [TestMethod]
    public void A_wide_row_s_slot_is_named()
    {
        string[] columns = [.. Enumerable.Range(0, 40).Select(i => $"c{i}")];
        IDataView view = View.ML.Transforms.Concatenate("Features", [.. columns.Select(name => "Price"), "Rooms"])
            .Fit(Load(float.NaN)).Transform(Load(float.NaN));
        Says("slot 40 ('Rooms') has NaN", () => View.ML.Transforms.BatchNormalization("Features").Fit(view));
    }

    [TestMethod]
    public void A_transformer_names_the_slot_of_a_missing_value_and_what_to_do()
    {
        BatchNormalizationTransformer fitted = View.ML.Transforms.BatchNormalization("Y", "Features").Fit(Houses(3));
        Says(Named, () => fitted.Transform(Houses()).GetColumn<float[]>("Y").ToArray());
        Says(Named, () => ((ITransformerWithDifferentMappingAtTrainingTime)View.ML.Transforms.BatchNormalization(
            new BatchNormalizationEstimator.Options
            {
                Columns = [new InputOutputColumnPair("Y", "Features")],
                TrainDownstreamOn = DownstreamStatistics.Batch,
            }).Fit(Houses(3))).TransformForTrainingPipeline(Houses()).GetColumn<float[]>("Y").ToArray());
    }

    [TestMethod]
    public void A_trainer_names_the_slot_of_a_missing_value_and_what_to_do() => Says(
        Named + ", or set NonFinite.Ignore in the trainer's options, which leaves such rows out.",
        () => View.ML.Regression.Trainers.BatchNormNetwork(new BatchNormNetworkRegressionTrainer.Options
        {
            LabelColumnName = "Price",
            NonFinite = NonFinite.Throw,
        }).Fit(Houses()));

    [TestMethod]
    public void Rows_that_are_all_masked_are_counted_and_the_mask_is_named()
    {
        IDataView view = Houses(3);
        var estimator = View.ML.Transforms.BatchNormalization(new BatchNormalizationEstimator.Options
        {
            Columns = [new InputOutputColumnPair("Features")],
            MaskColumnName = "Flag",
        });
        Says("All 3 rows are hidden by mask column 'Flag'", () => estimator.Fit(view));
        // A view that does not know its number of rows.
        Says("All 3 rows are hidden by mask column 'Flag'", () => estimator.Fit(
            View.ML.Data.FilterRowsByColumn(view, "Area", lowerBound: 0)));
        Says("The data has no rows", () => estimator.Fit(View.ML.Data.SkipRows(view, 3)));
    }

    [TestMethod]
    public void One_row_to_train_on_is_told_and_no_batch_size_is_asked_for()
    {
        string message = Assert.Throws<ArgumentException>(
            () => Blobs.Multiclass(View.ML).Fit(View.ML.Data.TakeRows(Blobs.View(View.ML), 1))).Message;
        StringAssert.Contains(message, "There is 1 row to train on");
        StringAssert.Contains(message, "Add rows");
        Assert.IsFalse(message.Contains("BatchSize", StringComparison.Ordinal), message);
    }

    [TestMethod]
    public void Rows_that_are_all_left_out_are_counted_by_reason()
    {
        var trainer = View.ML.Regression.Trainers.BatchNormNetwork("Price");
        IDataView missing = View.ML.Data.FilterRowsByMissingValues(Houses(), "Area");
        Says(
            "of 1 rows, 0 have no label, 0 no weight that is positive and finite, and 1 a feature that is not finite, which",
            () => trainer.Fit(View.ML.Data.TakeRows(View.ML.Data.SkipRows(missing, 1), 1)));
        Says("The training data has no rows.", () => trainer.Fit(View.ML.Data.SkipRows(missing, 3)));
    }

    [TestMethod]
    public void A_vector_of_unknown_size_is_told_with_how_to_give_it_one()
    {
        IDataView view = View.ML.Data.LoadFromEnumerable<Unsized>([new([1, 2]), new([3, 4])]);
        Says(
            "got Vector<Single> of unknown size; give it one with [VectorType(n)]",
            () => View.ML.Transforms.BatchNormalization("X").Fit(view));
    }

    [TestMethod]
    [DataRow("Area", 3, "Axis must be 1 or -1 for column 'Area', not 3: a row of it has one dimension")]
    [DataRow("Features", -2, "Axis must be 1 or -1 for column 'Features', not -2: a row of it has one dimension")]
    [DataRow(
        "Grid", 4, "Axis must be from 1 to 2 or from -2 to -1 for column 'Grid', not 4: a row of it has 2 dimensions")]
    public void An_axis_that_a_row_lacks_is_told_with_those_that_it_has(string column, int axis, string text)
    {
        SchemaDefinition definition = SchemaDefinition.Create(typeof(Unsized));
        definition["X"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, 1, 2);
        definition["X"].ColumnName = "Grid";
        IDataView view = column == "Grid"
            ? View.ML.Data.LoadFromEnumerable<Unsized>([new([1, 2]), new([3, 4])], definition)
            : Houses(3);
        Says(text, () => View.ML.Transforms.BatchNormalization(column, axis: axis).Fit(view));
    }

    static IDataView Load(float rooms) =>
        View.ML.Data.LoadFromEnumerable<House>([new(50, 2, 1), new(80, rooms, 2), new(90, 4, 3)]);

    static void Says(string text, Action action) =>
        StringAssert.Contains(Assert.Throws<Exception>(action).Message, text);
}
