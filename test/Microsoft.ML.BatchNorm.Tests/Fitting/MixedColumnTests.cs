using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>Columns of different types, sizes and ranks in one estimator.</summary>
[TestClass]
public class MixedColumnTests
{
    const int Count = 1001;

    static readonly InputOutputColumnPair[] Pairs =
        [new("Short"), new("B", "Wide"), new("C", "Number"), new("D", "Single"), new("E", "Doubles"), new("F", "Wide")];

    [TestMethod]
    [DataRow(MovingStatistics.Population)]
    [DataRow(MovingStatistics.Exponential)]
    [DataRow(MovingStatistics.Cumulative)]
    public void Each_is_fitted_and_normalized_as_it_is_alone(MovingStatistics kind)
    {
        IDataView view = Rows();
        BatchNormalizationTransformer together = Estimator(kind, Pairs).Fit(view);
        IDataView output = together.Transform(view);
        foreach (InputOutputColumnPair pair in Pairs)
        {
            BatchNormalizationTransformer alone = Estimator(kind, pair).Fit(view);
            BatchNormalizationState expected = alone.GetState(pair.OutputColumnName);
            BatchNormalizationState actual = together.GetState(pair.OutputColumnName);
            Agreement.Within(1e-14, expected.MovingMean, actual.MovingMean, pair.OutputColumnName);
            Agreement.Within(1e-13, expected.MovingVariance, actual.MovingVariance, pair.OutputColumnName);
            // The batches of an average are the same, whichever columns are beside.
            if (kind != MovingStatistics.Population)
                Assert.AreEqual(expected, actual, pair.OutputColumnName);
            Assert.AreEqual(view.Schema[pair.InputColumnName].Type, output.Schema[pair.OutputColumnName].Type);
        }
        Assert.AreEqual(together.GetState("B"), together.GetState("F"));
    }

    [TestMethod]
    public void Batches_of_as_many_rows_as_each_width_allows_leave_no_row_out()
    {
        IDataView view = Rows(9001);
        BatchNormalizationTransformer together = Estimator(MovingStatistics.Population, Pairs).Fit(view);
        foreach (InputOutputColumnPair pair in Pairs)
        {
            BatchStatistics actual = together.GetState(pair.OutputColumnName).GetPopulation()!;
            BatchStatistics expected = Estimator(MovingStatistics.Population, pair).Fit(view)
                .GetState(pair.OutputColumnName).GetPopulation()!;
            Agreement.Within(0, expected.Count, actual.Count, pair.OutputColumnName);
            Agreement.Within(1e-14, expected.Mean, actual.Mean, pair.OutputColumnName);
        }
    }

    [TestMethod]
    public void Thousands_of_narrow_columns_take_buffers_of_their_own_width()
    {
        IDataView view = Rows(300);
        BatchNormalizationEstimator estimator = View.ML.Transforms.BatchNormalization(
            [new("Wide"), .. Enumerable.Range(0, 2000).Select(i => new InputOutputColumnPair($"Y{i}", "Single"))]);
        BatchNormalizationTransformer fitted = estimator.Fit(view);
        Assert.AreEqual(fitted.GetState("Y0"), fitted.GetState("Y1999"));
        long before = GC.GetAllocatedBytesForCurrentThread();
        estimator.Fit(view);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.IsTrue(allocated < 30_000_000, $"{allocated} bytes were allocated.");
    }

    [TestMethod]
    public void They_keep_ML_NET_s_contract_of_estimators() => EstimatorContract.Check(
        View.ML.Transforms.BatchNormalization(Pairs), Rows(), Rows(5, seed: 9), View.Scalars(1f));

    [TestMethod]
    public void Two_columns_of_different_types_may_swap_their_names()
    {
        IDataView view = Rows();
        BatchNormalizationEstimator estimator = View.ML.Transforms.BatchNormalization(
            [new InputOutputColumnPair("Wide", "Number"), new InputOutputColumnPair("Number", "Wide")]);
        EstimatorContract.Check(estimator, view, Rows(5, seed: 9));
        BatchNormalizationTransformer swapped = estimator.Fit(view);
        Assert.AreEqual(1, swapped.GetState("Wide").Channels);
        Assert.AreEqual(NumberDataViewType.Double, swapped.Transform(view).Schema["Wide"].Type);
        Agreement.Within(
            1e-14, View.ML.Transforms.BatchNormalization("Wide").Fit(view).GetState("Wide").MovingMean,
            swapped.GetState("Number").MovingMean);
    }

    [TestMethod]
    public void One_that_cannot_be_normalized_fails_them_all_before_data_is_read()
    {
        BatchNormalizationEstimator estimator = View.ML.Transforms.BatchNormalization([.. Pairs, new("G", "Key")]);
        foreach (Action action in (Action[])
            [
                () => estimator.Fit(new UnreadableView(Rows())),
                () => estimator.GetOutputSchema(SchemaShape.Create(Rows().Schema)),
            ])
        {
            StringAssert.Contains(
                Assert.ThrowsExactly<ArgumentOutOfRangeException>(action).Message, "input column 'Key'");
        }
    }

    static BatchNormalizationEstimator Estimator(MovingStatistics kind, params InputOutputColumnPair[] pairs) =>
        Fits.Estimator(options =>
        {
            options.Columns = pairs;
            options.Layer = BatchNormalizationOptions.Keras with { MovingStatistics = kind };
            options.BatchSize = 100;
            options.Epochs = 2;
        });

    static IDataView Rows(int count = Count, int seed = 3)
    {
        float[][] wide = View.Floats(count, 40, seed);
        double[][] doubles = View.Doubles(count, 12, seed + 1);
        return View.ML.Data.LoadFromEnumerable(Enumerable.Range(0, count).Select(i => new Row
        {
            Short = wide[i][..3],
            Wide = wide[i],
            Number = doubles[i][0],
            Single = wide[i][7],
            Doubles = doubles[i],
            Key = 1 + (uint)(i % 4),
        }).ToArray());
    }

    sealed class Row
    {
        [VectorType(3)]
        public float[] Short { get; set; } = [];

        [VectorType(40)]
        public float[] Wide { get; set; } = [];

        public double Number { get; set; }

        public float Single { get; set; }

        [VectorType(12)]
        public double[] Doubles { get; set; } = [];

        [KeyType(4)]
        public uint Key { get; set; }
    }
}
