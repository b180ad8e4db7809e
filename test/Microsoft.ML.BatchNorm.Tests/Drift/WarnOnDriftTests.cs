using Microsoft.ML.BatchNorm.Tests.Fitting;
using Microsoft.ML.BatchNorm.Tests.Pipelines;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Drift;

[TestClass]
public class WarnOnDriftTests
{
    [TestMethod]
    public void Another_exposure_of_the_digits_warns_once_a_view_and_the_old_one_never()
    {
        (MLContext context, List<string> warnings, BatchNormalizationTransformer layer) = Fitted(Digits.Pixels);
        IDataView same = layer.Transform(Fits.Vectors(Digits.Pixels));
        Read(same);
        Assert.AreEqual(0, warnings.Count);

        float[][] exposed = [.. Digits.Pixels.Select(row => Array.ConvertAll(row, pixel => 0.5f * pixel + 3))];
        IDataView view = layer.Transform(Fits.Vectors(exposed));
        Read(view);
        Read(view);
        Assert.AreEqual(1, warnings.Count);
        StringAssert.Contains(warnings[0], "Column 'X' has drifted");
        StringAssert.Contains(warnings[0], "by a sample of 57 values");
        Read(layer.Transform(Fits.Vectors(exposed)));
        Assert.AreEqual(2, warnings.Count);
        GC.KeepAlive(context);
    }

    [TestMethod]
    public void It_is_off_by_default()
    {
        var context = new MLContext(1);
        List<string> warnings = Warnings.Of(context);
        BatchNormalizationTransformer layer = Fits.Estimator(_ => { }, context).Fit(Fits.Vectors(View.Floats(1000, 4)));
        Read(layer.Transform(Shifted(10_000, 4)));
        Assert.AreEqual(0, warnings.Count);
    }

    [TestMethod]
    [DataRow(256, true, 64)]
    [DataRow(257, true, 33)]
    [DataRow(257, false, 33)]
    [DataRow(1797, true, 57)]
    [DataRow(1797, false, 57)]
    [DataRow(32_768, true, 64)]
    [DataRow(32_768, false, 64)]
    [DataRow(100_000, true, 196)]
    [DataRow(100_000, false, 196)]
    [DataRow(1_000_000, true, 245)]
    [DataRow(1_000_000, false, 245)]
    public void The_sample_is_spread_evenly_over_all_rows_whether_their_number_is_known_or_not(
        int rows, bool isKnown, int expected)
    {
        (_, List<string> warnings, BatchNormalizationTransformer layer) = Fitted(View.Floats(1000, 2));
        // A drift in the last rows alone, in which a sample of the first would have none.
        var view = new GeneratedView(
            2, rows, (row, values) => values.Fill(row >= rows * 0.4 ? 1e9f : row % 7), knowsRowCount: isKnown);
        Read(layer.Transform(view));
        StringAssert.Contains(warnings.Single(), $"a sample of {expected} values");
    }

    [TestMethod]
    [DataRow(64, 16)]
    [DataRow(65, 9)]
    public void Long_rows_are_fewer_but_never_less_than_eight(int rows, int expected)
    {
        (_, List<string> warnings, BatchNormalizationTransformer layer) = Fitted(View.Floats(100, 20_000));
        Read(layer.Transform(new GeneratedView(20_000, rows, (row, values) => values.Fill(1e9f + row % 7))));
        StringAssert.Contains(warnings.Single(), $"a sample of {expected} values");
    }

    [TestMethod]
    public void A_view_is_checked_again_when_many_rows_have_gone_by()
    {
        float[][] train = [.. Enumerable.Range(0, 1000).Select(row => new float[] { row % 7, row % 7 })];
        (_, List<string> warnings, BatchNormalizationTransformer layer) = Fitted(train);
        bool hasDrifted = false;
        IDataView view = layer.Transform(
            new GeneratedView(2, 20_000, (row, values) => values.Fill(hasDrifted ? 1e9f + row % 7 : row % 7)));
        Read(view);
        hasDrifted = true;
        int passes = 1;
        for (; warnings.Count == 0; passes++)
            Read(view);
        Assert.AreEqual(5, passes, "The first, three that are skipped, and the one that warns.");
    }

    [TestMethod]
    public void The_output_has_the_same_bits_with_it_and_without()
    {
        float[][] train = View.Floats(1000, 9), rows = View.Floats(5000, 9, seed: 2);
        (_, _, BatchNormalizationTransformer layer) = Fitted(train);
        float[][] expected =
            Fits.Estimator(_ => { }).Fit(Fits.Vectors(train)).Transform(Fits.Vectors(rows)).Rows<float>("Y");
        float[][] actual = layer.Transform(Fits.Vectors(rows)).Rows<float>("Y");
        for (int row = 0; row < rows.Length; row++)
            CollectionAssert.AreEqual(expected[row], actual[row]);
    }

    [TestMethod]
    public void Scalars_doubles_and_cursor_sets_are_checked_too()
    {
        var context = new MLContext(1);
        List<string> warnings = Warnings.Of(context);
        IDataView train = View.Scalars([.. View.Doubles(1, 1000)[0]]);
        BatchNormalizationTransformer layer = Fits.Estimator(options => options.WarnOnDrift = true, context).Fit(train);
        IDataView view = layer.Transform(View.Scalars([.. View.Doubles(1, 5000)[0].Select(x => x + 2)]));
        DataViewRowCursor[] cursors = view.GetRowCursorSet([view.Schema["Y"]], 3);
        foreach (DataViewRowCursor cursor in cursors)
        {
            using (cursor)
            {
                ValueGetter<double> getter = cursor.GetGetter<double>(view.Schema["Y"]);
                double value = 0;
                while (cursor.MoveNext())
                    getter(ref value);
                Assert.AreEqual(0, warnings.Count, "A part of the rows is no fair sample.");
            }
        }
        Assert.AreEqual(1, warnings.Count);
    }

    [TestMethod]
    public void A_pass_that_is_broken_off_or_reads_another_column_does_not_warn()
    {
        (_, List<string> warnings, BatchNormalizationTransformer layer) = Fitted(View.Floats(1000, 4));
        IDataView view = layer.Transform(Shifted(10_000, 4));
        using (DataViewRowCursor cursor = view.GetRowCursor([view.Schema["Y"]]))
        {
            ValueGetter<VBuffer<float>> getter = cursor.GetGetter<VBuffer<float>>(view.Schema["Y"]);
            VBuffer<float> row = default;
            for (int i = 0; i < 9_000 && cursor.MoveNext(); i++)
                getter(ref row);
        }
        using (DataViewRowCursor cursor = view.GetRowCursor([view.Schema["X"]]))
        {
            while (cursor.MoveNext())
            {
            }
        }
        Assert.AreEqual(0, warnings.Count);
    }

    [TestMethod]
    public void Rows_that_the_mask_column_hides_are_not_sampled()
    {
        var context = new MLContext(1);
        List<string> warnings = Warnings.Of(context);
        var train = new GeneratedView(2, 1000, (row, values) => values.Fill(row % 7), counts: _ => true);
        BatchNormalizationTransformer layer = Fits.Estimator(
            options => (options.WarnOnDrift, options.MaskColumnName) = (true, "Counts"), context).Fit(train);
        Read(layer.Transform(Padded(row => row < 5000)));
        Assert.AreEqual(0, warnings.Count);
        Read(layer.Transform(Padded(_ => true)));
        Assert.AreEqual(1, warnings.Count);

        GeneratedView Padded(Func<long, bool> counts) => new(
            2, 10_000, (row, values) => values.Fill(row < 5000 ? row % 7 : 1000), counts: counts);
    }

    [TestMethod]
    public void The_option_is_saved_with_the_model()
    {
        (_, _, BatchNormalizationTransformer layer) = Fitted(View.Floats(100, 4));
        var loaded = (BatchNormalizationTransformer)Persistence.Model.Reload(layer, Shifted(1, 4).Schema);
        Assert.IsTrue(loaded.Settings.WarnOnDrift);
        Assert.IsTrue(loaded.Freeze().Settings.WarnOnDrift);
    }

    static (MLContext Context, List<string> Warnings, BatchNormalizationTransformer Layer) Fitted(float[][] train)
    {
        var context = new MLContext(1);
        List<string> warnings = Warnings.Of(context);
        return (
            context, warnings, Fits.Estimator(options => options.WarnOnDrift = true, context).Fit(Fits.Vectors(train)));
    }

    static IDataView Shifted(int rows, int length) =>
        Fits.Vectors([.. View.Floats(rows, length, seed: 2).Select(row => Array.ConvertAll(row, x => x + 2))]);

    static void Read(IDataView view)
    {
        using DataViewRowCursor cursor = view.GetRowCursor([view.Schema["Y"]]);
        ValueGetter<VBuffer<float>> getter = cursor.GetGetter<VBuffer<float>>(view.Schema["Y"]);
        VBuffer<float> row = default;
        while (cursor.MoveNext())
            getter(ref row);
    }
}
