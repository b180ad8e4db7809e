using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>The default normalizes columns of any scale, and nothing but a constant is one.</summary>
[TestClass]
public class ScaleTests
{
    const int Rows = 500;

    [TestMethod]
    public void Columns_of_scales_from_1e_minus_12_to_1e12_come_out_with_deviation_1()
    {
        foreach (double share in (double[])[1, 1e-3, 1.1e-6])
        {
            double[][] values = Columns(share);
            AssertDeviations(Normalized(Vectors(values)), 1, 1e-3);
            if (share >= 1e-3)
                AssertDeviations(Normalized(Vectors(Floats(values))), 1, 1e-3);
        }
        // The deviation of floats near a mean is that of their own rounding.
        float[][] coarse = Floats(Columns(4e-6));
        AssertDeviations(Normalized(Vectors(coarse)), 1, 1e-3);
    }

    [TestMethod]
    public void Columns_whose_deviation_is_below_a_millionth_of_their_mean_are_beta_and_are_told()
    {
        var context = new MLContext(1);
        List<string> warnings = Warnings.Of(context);
        double[][] values = Columns(0.9e-6);
        AssertDeviations(Normalized(Vectors(values), context), 0, 0);
        StringAssert.Contains(warnings.Single(), "Column 'X': 9 of 9 channels count as constant");
        StringAssert.Contains(warnings.Single(), "0, 1, 2, 3, 4, …");

        IDataView view = Vectors(values);
        AssertDeviations(
            View.ML.Transforms.BatchNormalization("Y", "X", epsilon: 1e-300).Fit(view).Transform(view), 1, 1e-3);
    }

    [TestMethod]
    public void A_constant_is_beta_also_for_rows_that_differ_from_it_and_without_a_warning()
    {
        var context = new MLContext(1);
        List<string> warnings = Warnings.Of(context);
        double[][] constant = [.. Enumerable.Range(0, Rows).Select(_ => (double[])[0.1, 1e12, -3e-12, 0])];
        BatchNormalizationTransformer fitted =
            context.Transforms.BatchNormalization("Y", "X").Fit(Vectors(constant));
        Assert.AreEqual(0, warnings.Count);
        double[] row = fitted.Transform(Vectors((double[][])[[7, 7, 7, 7]])).Rows<double>("Y").Single();
        CollectionAssert.AreEqual((double[])[0, 0, 0, 0], row);
    }

    [TestMethod]
    public void What_counts_as_constant_is_beta_for_estimators_down_the_chain_too()
    {
        double[][] rows = [.. Enumerable.Range(0, 64).Select(i => (double[])[1e9 + 1e-3 * Math.Sin(i), i])];
        BatchNormalizationTransformer fitted = Fits.Estimator(options =>
            (options.TrainDownstreamOn, options.BatchSize) = (DownstreamStatistics.Batch, 16)).Fit(Vectors(rows));
        IDataView seen = ((ITransformerWithDifferentMappingAtTrainingTime)fitted)
            .TransformForTrainingPipeline(Vectors(rows));
        double[][] y = seen.Rows<double>("Y");
        Assert.IsTrue(y.All(row => row[0] == 0));
        Assert.IsTrue(y.Any(row => row[1] != 0));
    }

    [TestMethod]
    public void What_is_not_finite_in_a_constant_column_comes_out_as_it_went_in_down_the_chain_too()
    {
        double[][] rows = [.. Enumerable.Range(0, 16).Select(i => (double[])[i, i == 7 ? double.NaN : 5])];
        BatchNormalizationTransformer fitted = Fits.Estimator(options =>
            (options.Layer, options.TrainDownstreamOn, options.BatchSize) =
                (new() { NonFinite = NonFinite.Ignore }, DownstreamStatistics.Batch, 16)).Fit(Vectors(rows));
        double[][] y = ((ITransformerWithDifferentMappingAtTrainingTime)fitted)
            .TransformForTrainingPipeline(Vectors(rows)).Rows<double>("Y");
        Assert.IsTrue(double.IsNaN(y[7][1]) && y[6][1] == 0);
    }

    [TestMethod]
    public void What_counts_as_constant_goes_on_from_its_exact_variance_where_epsilon_is_said()
    {
        IDataView view = Vectors((double[][])
            [.. Enumerable.Range(0, 256).Select(i => (double[])[1e9 + 1e-3 * Math.Sin(i)])]);
        BatchNormalizationTransformer settled = Fits.Estimator(new BatchNormalizationOptions()).Fit(view);
        foreach (BatchNormalizationOptions layer in (BatchNormalizationOptions[])
            [
                new() { Epsilon = 1e-12 }, new() { Epsilon = 1e-12, Trainable = false },
                new() { Epsilon = 1e-12, Momentum = 0.99 },
                new() { Epsilon = 0, MovingStatistics = MovingStatistics.Cumulative },
            ])
        {
            AssertDeviations(Fits.Estimator(layer).Fit(view, settled).Transform(view), 1, 0.02);
        }
    }

    [TestMethod]
    public void What_counts_as_constant_stays_one_in_a_layer_that_is_frozen()
    {
        IDataView view = Vectors((double[][])
            [.. Enumerable.Range(0, 256).Select(i => (double[])[1e9 + 1e-3 * Math.Sin(i)])]);
        BatchNormalizationTransformer frozen = Fits.Estimator(new BatchNormalizationOptions()).Fit(view).Freeze();
        BatchNormalizationTransformer average = Fits.Estimator(new BatchNormalizationOptions { Momentum = 0.9 })
            .Fit(view, frozen);
        Assert.AreEqual(frozen.GetState("Y"), average.GetState("Y"));
        Assert.IsTrue(average.Transform(view).Rows<double>("Y").All(y => y[0] == 0));
    }

    [TestMethod]
    public void What_counts_as_constant_keeps_its_exact_statistics_and_goes_on_with_them()
    {
        double[][] first = Columns(0.5e-6), second = [.. first.Select(row => row.Select(x => -x).ToArray())];
        BatchNormalizationTransformer fitted = View.ML.Transforms.BatchNormalization("Y", "X").Fit(Vectors(first));
        Assert.IsTrue(fitted.GetState("Y").MovingVariance.ToArray().All(variance => variance == 0));
        Assert.IsTrue(fitted.GetState("Y").GetPopulation()!.M2.ToArray().All(m2 => m2 > 0));
        BatchNormalizationTransformer both = fitted.FineTune(Vectors(second));
        AssertDeviations(both.Transform(Vectors([.. first, .. second])), 1, 1e-3);
    }

    [TestMethod]
    public void Channels_that_come_out_with_another_deviation_than_1_are_told()
    {
        AssertTold(
            "2 of 3 channels are small beside ε (0.001)", context => context.Transforms.BatchNormalization(
                "Y", "X", momentum: 0).Fit(Vectors(Floats([.. Columns(1).Select(row => row[2..5])]))));
        AssertTold(
            "1 of 2 channels have no value that counts", context => Fits.Estimator(
                options => options.Layer = new() { NonFinite = NonFinite.Ignore }, context)
                .Fit(Vectors([.. Enumerable.Range(0, 9).Select(i => (float[])[i, float.NaN])])));
        AssertTold(
            "2 of 2 channels have no value that counts", context => Fits.Estimator(
                options => options.Layer = new() { NonFinite = NonFinite.Ignore }, context)
                .Fit(Vectors([.. Enumerable.Range(0, 9).Select(_ => (float[])[float.NaN, float.NaN])])));
        AssertTold(
            "3 of 3 channels have a single value",
            context => context.Transforms.BatchNormalization("Y", "X").Fit(Vectors((float[][])[[1, 2, 3]])));

        static void AssertTold(string words, Action<MLContext> fit)
        {
            var context = new MLContext(1);
            List<string> warnings = Warnings.Of(context);
            fit(context);
            StringAssert.Contains(string.Join('\n', warnings), words);
        }
    }

    [TestMethod]
    public void A_feature_of_scale_1e_minus_4_counts_as_much_as_one_of_scale_1()
    {
        var context = new MLContext(1);
        float[] a = Sample.Floats(Rows, 1), b = Sample.Floats(Rows, 2);
        IDataView data = context.Data.LoadFromEnumerable(Enumerable.Range(0, Rows).Select(i => new Point
        {
            Features = [a[i], 1e-4f * b[i]],
            Label = a[i] + b[i],
        }).ToArray());
        var pipeline = context.Transforms.BatchNormalization("Features").Append(context.Regression.Trainers.Sdca());
        Assert.AreEqual(1, context.Regression.Evaluate(pipeline.Fit(data).Transform(data)).RSquared, 0.01);
    }

    /// <summary>
    /// A column for each thousandth of scale, of a deviation that is a share of its greatest absolute value.
    /// </summary>
    static double[][] Columns(double share) =>
    [
        .. Enumerable.Range(0, Rows).Select(i => Enumerable.Range(-4, 9).Select(power =>
            Math.Pow(1000, power) * (share == 1 ? Wave(i) : 1 - share * (1 + Wave(i)))).ToArray()),
    ];

    /// <summary>Mean 0, deviation 1 and greatest value 1 over an even number of rows.</summary>
    static double Wave(int i) => i % 2 == 0 ? 1 : -1;

    static float[][] Floats(double[][] values) => Array.ConvertAll(values, row => Array.ConvertAll(row, x => (float)x));

    static IDataView Vectors<T>(T[][] rows) => View.Vectors(View.Dense(rows), rows[0].Length);

    static IDataView Normalized(IDataView view, MLContext? context = null) =>
        (context ?? View.ML).Transforms.BatchNormalization("Y", "X").Fit(view).Transform(view);

    static void AssertDeviations(IDataView view, double expected, double bound)
    {
        double[][] y = view.Schema["Y"].Type.GetItemType() == NumberDataViewType.Double
            ? view.Rows<double>("Y")
            : Array.ConvertAll(view.Rows<float>("Y"), row => Array.ConvertAll(row, x => (double)x));
        for (int c = 0; c < y[0].Length; c++)
        {
            double mean = y.Average(row => row[c]);
            Assert.AreEqual(expected, Math.Sqrt(y.Average(row => Math.Pow(row[c] - mean, 2))), bound, $"column {c}");
        }
    }

    sealed class Point
    {
        [VectorType(2)]
        public float[] Features { get; set; } = [];

        public float Label { get; set; }
    }
}
