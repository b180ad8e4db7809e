using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>Columns of values near the end of the range of their type.</summary>
[TestClass]
public class LargeValueTests
{
    const int Rows = 1000;

    static IEnumerable<object[]> Columns =>
        from columns in (int[])[1, 3, 8, 13]
        from moving in (MovingStatistics[])[MovingStatistics.Population, MovingStatistics.Exponential]
        select new object[] { columns, moving };

    [TestMethod]
    [DynamicData(nameof(Columns))]
    public void A_column_of_one_large_value_has_its_mean_and_no_variance(int columns, MovingStatistics moving)
    {
        IDataView view = View.Vectors(View.Dense(Constant(columns, 1e305)), columns);
        BatchNormalizationTransformer model = Fits.Estimator(Layer(moving)).Fit(view);
        BatchNormalizationState state = model.GetState("Y");
        for (int c = 0; c < columns; c++)
        {
            Assert.AreEqual(1, state.MovingMean[c] / 1e305, 1e-15);
            Assert.AreEqual(0, state.MovingVariance[c]);
        }
        foreach (double[] row in model.Transform(view).Rows<double>("Y"))
            Assert.IsFalse(row.AsSpan().ContainsAnyExcept(0.0));
    }

    [TestMethod]
    [DynamicData(nameof(Columns))]
    public void A_variance_that_no_double_holds_names_column_and_slot(int columns, MovingStatistics moving)
    {
        double[][] rows = Constant(columns, 1);
        for (int row = 0; row < Rows; row++)
            rows[row][columns - 1] = row % 2 == 0 ? 1e200 : -1e200;
        AssertNamed(rows, columns, moving);
    }

    [TestMethod]
    [DataRow(3)]
    [DataRow(13)]
    public void One_that_only_all_rows_together_have_does_too(int columns)
    {
        // More rows than a batch or a shard has, of which each has one of the values alone.
        const int many = 40_000;
        double[][] rows = [.. Enumerable.Range(0, many).Select(_ => new double[columns])];
        for (int row = 0; row < many; row++)
            rows[row][columns - 1] = row < many / 2 ? 1e200 : -1e200;
        AssertNamed(rows, columns, MovingStatistics.Population);
    }

    [TestMethod]
    public void Floats_near_their_end_are_normalized()
    {
        float[][] rows = [.. Enumerable.Range(0, Rows).Select(
            row => Enumerable.Repeat(row % 4 == 0 ? float.MaxValue : -1e38f, 13).ToArray())];
        IDataView view = View.Vectors(View.Dense(rows), 13);
        BatchNormalizationTransformer model = Fits.Estimator(Layer(MovingStatistics.Population)).Fit(view);
        int at = 0;
        foreach (float[] row in model.Transform(view).Rows<float>("Y"))
        {
            double expected = at++ % 4 == 0 ? Math.Sqrt(3) : -1 / Math.Sqrt(3);
            foreach (float value in row)
                Assert.AreEqual(expected, value, 1e-6);
        }
    }

    static void AssertNamed(double[][] rows, int columns, MovingStatistics moving)
    {
        IDataView view = View.Vectors(View.Dense(rows), columns);
        var error = Assert.Throws<Exception>(() => Fits.Estimator(Layer(moving)).Fit(view));
        StringAssert.Contains(
            error.Message, $"Column 'X': the variance of slot {columns - 1} overflows a double");
    }

    static BatchNormalizationOptions Layer(MovingStatistics moving) =>
        new() { MovingStatistics = moving, Momentum = 0 };

    static double[][] Constant(int columns, double value) =>
        [.. Enumerable.Range(0, Rows).Select(_ => Enumerable.Repeat(value, columns).ToArray())];
}
