using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Transformer;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>Rows where the mask column is false do not count, as if they were not there.</summary>
[TestClass]
public class MaskTests
{
    static readonly BatchNormalizationOptions Exponential = BatchNormalizationOptions.Keras with { Momentum = 0.5 };

    [TestMethod]
    [DataRow(MovingStatistics.Population)]
    [DataRow(MovingStatistics.Exponential)]
    [DataRow(MovingStatistics.Cumulative)]
    public void The_result_is_that_of_the_rows_that_count(MovingStatistics kind)
    {
        float[][] rows = View.Floats(100, 4);
        bool[] mask = Sample.Mask(100, 3);
        BatchNormalizationOptions layer = Exponential with { MovingStatistics = kind };
        BatchNormalizationState expected =
            Fits.Fit(Fits.Vectors([.. rows.Where((_, i) => mask[i])]), layer, batchSize: 8);
        Assert.AreEqual(expected, Fit(MaskedRow.View(rows, i => mask[i]), layer, batchSize: 8));
    }

    [TestMethod]
    [DataRow(8)]
    [DataRow(9)]
    [DataRow(16)]
    [DataRow(17)]
    public void Rows_behind_the_last_that_counts_change_no_batch(int counted)
    {
        float[][] rows = View.Floats(30, 4);
        BatchNormalizationState expected = Fits.Fit(Fits.Vectors(rows[..counted]), Exponential, batchSize: 8);
        Assert.AreEqual(expected, Fit(MaskedRow.View(rows, i => i < counted), Exponential, batchSize: 8));
    }

    [TestMethod]
    public void A_row_that_does_not_count_may_hold_anything()
    {
        float[][] rows = View.Floats(20, 4);
        rows[5][2] = float.NaN;
        Fit(MaskedRow.View(rows, i => i != 5), BatchNormalizationOptions.Keras, batchSize: 8);
        Assert.ThrowsExactly<InvalidOperationException>(
            () => Fit(MaskedRow.View(rows, i => i != 6), BatchNormalizationOptions.Keras, batchSize: 8));
    }

    [TestMethod]
    public void A_mask_that_hides_every_row_is_an_error()
    {
        var error = Assert.ThrowsExactly<InvalidOperationException>(
            () => Fit(MaskedRow.View(View.Floats(20, 4), _ => false), Exponential, batchSize: 8));
        StringAssert.Contains(error.Message, "All 20 rows are hidden by mask column 'Counts'");
    }

    static BatchNormalizationState Fit(IDataView view, BatchNormalizationOptions layer, int batchSize) =>
        Fits.Fit(view, options =>
            (options.Layer, options.BatchSize, options.MaskColumnName) = (layer, batchSize, "Counts"));
}
