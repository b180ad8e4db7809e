using Microsoft.ML.Data;


namespace Microsoft.ML.BatchNorm.Tests.Trainers;

/// <summary>Which rows are trained on.</summary>
[TestClass]
public class RowSelectionTests
{
    [TestMethod]
    public void Rows_without_a_label_are_left_out_with_a_warning_of_how_many()
    {
        var context = new MLContext(1);
        Blobs.Row[] rows = Blobs.Rows(90);
        List<string> warnings = Warnings.Of(context);
        NetworkState expected = Blobs.Multiclass(context).Fit(Blobs.Keyed(context, rows)).Model.State;
        Assert.IsEmpty(warnings);
        Blobs.Row[] more = [.. rows.SelectMany((row, i) => i % 10 == 0
            ? [row, new Blobs.Row { Features = [9, 9, 9, 9], Color = "no color" }]
            : (Blobs.Row[])[row])];
        Assert.AreEqual(expected, Blobs.Multiclass(context).Fit(Blobs.Keyed(context, more)).Model.State);
        StringAssert.Contains(warnings.Single(), "Skipped 9 rows of the training data whose label is missing");
    }

    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.NegativeInfinity)]
    public void A_regression_label_that_is_not_finite_is_missing(float value)
    {
        var context = new MLContext(1);
        Blobs.Row[] rows = Blobs.Rows(60);
        NetworkState expected = Blobs.Regression(context).Fit(Blobs.Keyed(context, rows)).Model.State;
        Blobs.Row[] more = [.. rows, new Blobs.Row { Features = [1, 2, 3, 4], Value = value }];
        Assert.AreEqual(expected, Blobs.Regression(context).Fit(Blobs.Keyed(context, more)).Model.State);
    }

    [TestMethod]
    [DataRow(0f)]
    [DataRow(-1f)]
    [DataRow(float.NaN)]
    [DataRow(float.PositiveInfinity)]
    public void Rows_whose_weight_is_not_positive_and_finite_are_left_out(float weight)
    {
        var context = new MLContext(1);
        Blobs.Row[] rows = Blobs.Rows(60);
        NetworkState Fit(IEnumerable<Blobs.Row> from) => Blobs.Multiclass(
            context, options => options.ExampleWeightColumnName = "Weight").Fit(Blobs.Keyed(context, from)).Model.State;
        NetworkState expected = Fit(rows);
        List<string> warnings = Warnings.Of(context);
        Assert.AreEqual(expected, Fit(
            rows.Append(new Blobs.Row { Features = [1, 2, 3, 4], Color = "red", Weight = weight })));
        StringAssert.Contains(warnings.Single(), "Skipped 1 rows of the training data whose weight");
    }

    [TestMethod]
    [DataRow(3)]
    [DataRow(5)]
    [DataRow(0)]
    public void Features_of_another_number_than_the_column_s_are_an_error_that_names_column_and_row(int count)
    {
        var context = new MLContext(1);
        Blobs.Row[] rows = Blobs.Rows(60);
        rows[17].Features = new float[count];
        var error = Assert.ThrowsExactly<InvalidOperationException>(
            () => Blobs.Regression(context).Fit(Blobs.Keyed(context, rows)));
        StringAssert.Contains(
            error.Message, $"Column 'Features' has {count} values in row 17, where its type says {Blobs.Slots}.");
    }

    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.PositiveInfinity)]
    public void Rows_with_a_feature_that_is_not_finite_are_left_out_with_a_warning_of_how_many(float value)
    {
        var context = new MLContext(1);
        Blobs.Row[] rows = Blobs.Rows(60), more = Blobs.Rows(62);
        (more[60].Features[2], more[61].Features[0]) = (value, value);
        NetworkState expected = Blobs.Regression(context).Fit(Blobs.Keyed(context, rows)).Model.State;
        List<string> warnings = Warnings.Of(context);
        Assert.AreEqual(expected, Blobs.Regression(context).Fit(Blobs.Keyed(context, more)).Model.State);
        StringAssert.Contains(
            warnings.Single(), "Skipped 2 of 62 rows of the training data with a missing value");
    }

    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.PositiveInfinity)]
    public void Where_the_options_ask_for_it_such_a_row_is_an_error_that_names_column_row_and_slot(float value)
    {
        var context = new MLContext(1);
        Blobs.Row[] rows = Blobs.Rows(60);
        rows[41].Features[2] = value;
        var error = Assert.ThrowsExactly<InvalidOperationException>(
            () => Blobs.Multiclass(context, options => options.NonFinite = NonFinite.Throw)
                .Fit(Blobs.Keyed(context, rows)));
        StringAssert.Contains(
            error.Message,
            FormattableString.Invariant($"Column 'Features' is not finite: row 41, slot 2 has {value}."));
        Assert.IsTrue(Runtime.Contracts.IsMarked(error));
    }

    [TestMethod]
    public void The_prediction_for_a_row_with_a_missing_value_is_NaN()
    {
        var context = new MLContext(1);
        Blobs.Row[] rows = Blobs.Rows(3);
        rows[1].Features[0] = float.NaN;
        IDataView view = Blobs.Keyed(context, rows);
        var classes = Blobs.Multiclass(context, options => options.Epochs = 1).Fit(Blobs.View(context));
        float[][] scores = [.. classes.Transform(view).GetColumn<float[]>("Score")];
        Assert.IsTrue(scores[1].All(float.IsNaN));
        Assert.IsTrue(scores[0].Concat(scores[2]).All(float.IsFinite));
        Assert.AreEqual(0u, classes.Transform(view).GetColumn<uint>("PredictedLabel").ElementAt(1));
        var number = Blobs.Regression(context, options => options.Epochs = 1).Fit(Blobs.View(context));
        Assert.IsTrue(float.IsNaN(number.Transform(view).GetColumn<float>("Score").ElementAt(1)));
        var binary = Blobs.Binary(context, options => options.Epochs = 1).Fit(Blobs.View(context));
        Assert.IsTrue(float.IsNaN(binary.Transform(view).GetColumn<float>("Probability").ElementAt(1)));
    }

    [TestMethod]
    public void Data_without_rows_that_count_is_an_error()
    {
        var context = new MLContext(1);
        foreach (Blobs.Row[] rows in (Blobs.Row[][])[[], [new Blobs.Row { Features = [1, 2, 3, 4], Color = "none" }]])
        {
            var error = Assert.ThrowsExactly<InvalidOperationException>(
                () => Blobs.Multiclass(context).Fit(Blobs.Keyed(context, rows)));
            StringAssert.Contains(error.Message, rows.Length == 0 ? "data has no rows." : "has no rows with a label");
        }
    }
}
