using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>
/// A row with another number of values than its column's type says ends a fit. ML.NET hands on whatever array an
/// object of the user's holds, and does not look at its length.
/// </summary>
[TestClass]
public class WrongLengthTests
{
    const int Rows = 200, Wrong = 130;

    [TestMethod]
    [DataRow(MovingStatistics.Population, 3, 1)]
    [DataRow(MovingStatistics.Population, 3, 2)]
    [DataRow(MovingStatistics.Population, 20, 1)]
    [DataRow(MovingStatistics.Exponential, 20, 1)]
    [DataRow(MovingStatistics.Cumulative, 20, 2)]
    public void The_error_names_column_and_row(MovingStatistics kind, int length, int threads)
    {
        foreach (IDataView view in Views(length))
        {
            AssertError(view, length, options =>
            {
                options.Layer = BatchNormalizationOptions.Keras with { MovingStatistics = kind };
                options.BatchSize = 16;
                options.NumberOfThreads = threads;
            });
        }
    }

    [TestMethod]
    public void It_is_the_row_of_the_data_where_rows_are_shuffled()
    {
        foreach (IDataView view in Views(5))
            AssertError(view, 5, options => (options.Layer, options.Shuffle, options.Seed) = (new(), true, 1));
    }

    [TestMethod]
    public void It_is_the_row_of_the_data_where_cursors_of_a_set_give_the_rows()
    {
        foreach (IDataView view in Views(20))
        {
            AssertError(
                new CursorSetView(view, [16], (batch, cursors) => batch % cursors), 20,
                options => options.NumberOfThreads = 3);
        }
    }

    [TestMethod]
    public void Values_that_are_not_finite_may_be_ignored_but_not_missing_ones()
    {
        foreach (IDataView view in Views(20))
        {
            AssertError(view, 20, options => options.Layer = BatchNormalizationOptions.Keras with
            {
                MovingStatistics = MovingStatistics.Population,
                NonFinite = NonFinite.Ignore,
            });
        }
    }

    [TestMethod]
    public void A_row_that_the_mask_hides_counts_neither_way()
    {
        float[][] rows = View.Floats(Rows, 20), shorter = [.. rows];
        shorter[Wrong] = [1, 2];
        BatchNormalizationState Fit(float[][] data) => Fits.Fit(
            Estimator.MaskedRow.View(data, i => i != Wrong), options => options.MaskColumnName = "Counts");
        Assert.AreEqual(Fit(rows), Fit(shorter));
    }

    [TestMethod]
    public void Estimators_down_the_chain_are_not_trained_on_it()
    {
        foreach (IDataView view in Views(5))
        {
            BatchNormalizationTransformer transformer = Fits.Estimator(
                options => (options.BatchSize, options.TrainDownstreamOn) = (16, DownstreamStatistics.Batch))
                .Fit(Fits.Vectors(View.Floats(20, 5)));
            IDataView seen =
                ((ITransformerWithDifferentMappingAtTrainingTime)transformer).TransformForTrainingPipeline(view);
            AssertNamed(() => seen.Rows<float>("Y"), 5);
        }
    }

    [TestMethod]
    public void It_is_the_same_error_where_rows_are_sampled_for_drift()
    {
        BatchNormalizationTransformer transformer = Fits.Estimator(options => options.WarnOnDrift = true)
            .Fit(Fits.Vectors(View.Floats(20, 5)));
        foreach (VBuffer<float> wrong in WrongRows(5))
        {
            IDataView output = transformer.Transform(View.Vectors([wrong], 5));
            var error = Assert.ThrowsExactly<InvalidOperationException>(() => output.Rows<float>("Y"));
            StringAssert.Contains(error.Message, "in row 0, where its type says 5.");
        }
    }

    static void AssertError(
        IDataView view, int length, Action<BatchNormalizationEstimator.Options> change) =>
        AssertNamed(() => Fits.Fit(view, change), length);

    static void AssertNamed(Action action, int length)
    {
        var error = Assert.ThrowsExactly<InvalidOperationException>(action);
        StringAssert.StartsWith(error.Message, "Column 'X' has ");
        StringAssert.Contains(error.Message, $" values in row {Wrong}, where its type says {length}.");
    }

    static IEnumerable<IDataView> Views(int length)
    {
        foreach (VBuffer<float> wrong in WrongRows(length))
        {
            VBuffer<float>[] rows = View.Dense(View.Floats(Rows, length));
            rows[Wrong] = wrong;
            yield return View.Vectors(rows, length);
        }
    }

    /// <summary>Too long, too short, none, and too long with as many values stored as there should be.</summary>
    static VBuffer<float>[] WrongRows(int length) =>
    [
        new(length + 1, new float[length + 1]),
        new(length - 1, new float[length - 1]),
        default,
        new(length + 1, length, new float[length], [.. Enumerable.Range(0, length)]),
    ];
}
