using Microsoft.ML.BatchNorm.Tests.Transformer;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>A value that is not finite ends a fit with its column, row and slot, or does not count.</summary>
[TestClass]
public class NonFiniteFitTests
{
    static readonly BatchNormalizationOptions Exponential = BatchNormalizationOptions.Keras;

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    public void The_error_names_column_row_and_slot(int threads)
    {
        foreach ((int row, int slot, float value, string text) in new[]
            {
                (0, 0, float.NaN, "row 0, slot 0 has NaN"),
                (50, 3, float.PositiveInfinity, "row 50, slot 3 has Infinity"),
                (64, 1, float.NaN, "row 64, slot 1 has NaN"),
                (99, 4, float.NegativeInfinity, "row 99, slot 4 has -Infinity"),
            })
        {
            float[][] rows = View.Floats(100, 5);
            rows[row][slot] = value;
            foreach (MovingStatistics kind in Enum.GetValues<MovingStatistics>())
                AssertError(Fits.Vectors(rows), kind, threads, $"Column 'X' is not finite: {text}.");
        }
    }

    [TestMethod]
    public void The_row_is_that_of_the_data_where_a_mask_hides_others()
    {
        float[][] rows = View.Floats(100, 5);
        rows[70][2] = float.NaN;
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Fits.Fit(
            Estimator.MaskedRow.View(rows, i => i % 2 == 0), options => options.MaskColumnName = "Counts"));
        StringAssert.Contains(error.Message, "row 70, slot 2 has NaN");
    }

    [TestMethod]
    public void The_slot_of_an_image_counts_through_all_its_dimensions()
    {
        float[][] rows = View.Floats(10, 24);
        rows[3][17] = float.NaN;
        var error = Assert.ThrowsExactly<InvalidOperationException>(
            () => Fits.Fit(View.Vectors(View.Dense(rows), 2, 3, 4), options => options.Axis = 1));
        StringAssert.Contains(error.Message, "Column 'X' is not finite: row 3, slot 17 has NaN.");
    }

    [TestMethod]
    public void Doubles_and_scalars_are_named_alike()
    {
        double[] values = Sample.Doubles(10, 1);
        values[7] = double.NaN;
        AssertError(
            View.Scalars(values), MovingStatistics.Population, 1, "Column 'X' is not finite: row 7, slot 0 has NaN.");
    }

    [TestMethod]
    [DataRow(MovingStatistics.Population)]
    [DataRow(MovingStatistics.Exponential)]
    public void Ignored_values_do_not_count(MovingStatistics kind)
    {
        var layer = BatchNormalizationOptions.Keras with { NonFinite = NonFinite.Ignore, MovingStatistics = kind };
        float[][] rows = View.Floats(40, 3);
        rows[7][1] = float.NaN;
        rows[31][2] = float.PositiveInfinity;
        BatchNormalizationState actual = Fits.Fit(Fits.Vectors(rows), layer, batchSize: 16);
        Assert.AreEqual(
            kind == MovingStatistics.Exponential
                ? Fits.Loop(layer, rows, [16, 16, 8])
                : Fits.Loop(layer, rows, [40]),
            actual);
        if (actual.GetPopulation() is { } population)
            Agreement.SameBits<double>([40, 39, 39], population.Count);
    }

    static void AssertError(IDataView view, MovingStatistics kind, int threads, string message)
    {
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Fits.Fit(view, options =>
        {
            options.Layer = Exponential with { MovingStatistics = kind };
            options.BatchSize = 16;
            options.NumberOfThreads = threads;
        }));
        StringAssert.Contains(error.Message, message);
    }
}
