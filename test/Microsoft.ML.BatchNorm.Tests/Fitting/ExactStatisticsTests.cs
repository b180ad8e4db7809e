using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>By default the fitted statistics are those of all rows.</summary>
[TestClass]
public class ExactStatisticsTests
{
    const int Rows = 10_000;

    [TestMethod]
    public void Of_vectors_of_singles()
    {
        float[][] rows = View.Floats(Rows, 40);
        var expected = new BatchStatistics(40);
        expected.Add(ChannelLayout.Features(Rows, 40), (float[])[.. rows.SelectMany(row => row)]);
        AssertStatistics(expected, Fits.Vectors(rows));
    }

    [TestMethod]
    public void Of_vectors_of_doubles()
    {
        double[][] rows = View.Doubles(Rows, 40);
        var expected = new BatchStatistics(40);
        expected.Add(ChannelLayout.Features(Rows, 40), (double[])[.. rows.SelectMany(row => row)]);
        AssertStatistics(expected, View.Vectors(View.Dense(rows), 40));
    }

    [TestMethod]
    public void Of_scalars()
    {
        var expected = new BatchStatistics(1);
        expected.Add(ChannelLayout.Features(Rows, 1), Sample.Floats(Rows, 1));
        AssertStatistics(expected, View.Scalars(Sample.Floats(Rows, 1)));
        var wide = new BatchStatistics(1);
        wide.Add(ChannelLayout.Features(Rows, 1), Sample.Doubles(Rows, 1));
        AssertStatistics(wide, View.Scalars(Sample.Doubles(Rows, 1)));
    }

    [TestMethod]
    public void Of_sparse_vectors_whose_zeros_count()
    {
        float[][] rows = View.Floats(Rows, 5);
        IDataView view = View.Vectors(Sparse.Of(rows), 5);
        var expected = new BatchStatistics(5);
        expected.Add(ChannelLayout.Features(Rows, 5), (float[])[.. rows.SelectMany(row => row)]);
        AssertStatistics(expected, view);
    }

    [TestMethod]
    [DataRow(1, 3, DisplayName = "[C, H, W]")]
    [DataRow(-1, 5, DisplayName = "[H, W, C]")]
    [DataRow(2, 4, DisplayName = "the middle dimension")]
    [DataRow(-3, 3, DisplayName = "[C, H, W], from the end")]
    public void Of_the_channels_of_a_vector_with_dimensions(int axis, int channels)
    {
        float[][] rows = View.Floats(500, 60);
        var expected = new BatchStatistics(channels);
        expected.Add(
            new ChannelLayout([500, 3, 4, 5], axis), (float[])[.. rows.SelectMany(row => row)]);
        AssertStatistics(expected, View.Vectors(View.Dense(rows), 3, 4, 5), axis);
    }

    [TestMethod]
    public void A_mean_of_1e4_and_a_deviation_of_a_tenth_keep_six_digits()
    {
        double[] x = Sample.Doubles(200_000, 4, mean: 1e4, deviation: 0.1);
        double mean = x.Average(), variance = x.Average(value => (value - mean) * (value - mean));
        BatchNormalizationState state = Fits.Fit(View.Scalars(x), _ => { });
        Assert.AreEqual(mean, state.MovingMean[0], 1e-9);
        Assert.AreEqual(variance, state.MovingVariance[0], 1e-6 * variance);
    }

    [TestMethod]
    public void The_convention_chooses_the_variance()
    {
        IDataView view = View.Scalars(1f, 2f, 6f);
        var layer = new BatchNormalizationOptions { MovingStatistics = MovingStatistics.Population };
        Assert.AreEqual(14.0 / 3, Fits.Fit(view, layer).MovingVariance[0], 1e-12);
        Assert.AreEqual(
            7, Fits.Fit(view, layer with { VarianceConvention = VarianceConvention.Sample }).MovingVariance[0], 1e-12);
    }

    [TestMethod]
    public void Batch_size_epochs_and_shuffling_change_nothing()
    {
        IDataView view = Fits.Vectors(View.Floats(3000, 4));
        BatchNormalizationState expected = Fits.Fit(view, _ => { });
        Assert.AreEqual(expected, Fits.Fit(view, options =>
        {
            options.BatchSize = 7;
            options.Epochs = 3;
            options.Shuffle = true;
            options.Seed = 5;
        }));
    }

    [TestMethod]
    public void Each_of_several_columns_has_its_own()
    {
        double[][] rows = View.Doubles(300, 4);
        IDataView view = View.ML.Transforms.NormalizeMinMax("Z", "X").Fit(View.Vectors(View.Dense(rows), 4))
            .Transform(View.Vectors(View.Dense(rows), 4));
        BatchNormalizationTransformer both = View.ML.Transforms.BatchNormalization(
            [new InputOutputColumnPair("Y", "X"), new InputOutputColumnPair("Z")]).Fit(view);
        foreach (InputOutputColumnPair pair in (InputOutputColumnPair[])[new("Y", "X"), new("Z")])
        {
            BatchNormalizationTransformer alone =
                View.ML.Transforms.BatchNormalization(pair.OutputColumnName, pair.InputColumnName).Fit(view);
            Assert.AreEqual(alone.GetState(pair.OutputColumnName), both.GetState(pair.OutputColumnName));
        }
        Assert.AreNotEqual(both.GetState("Y"), both.GetState("Z"));
    }

    [TestMethod]
    public void The_output_has_mean_zero_and_deviation_one()
    {
        IDataView view = Fits.Vectors(View.Floats(Rows, 3));
        IDataView output = View.ML.Transforms.BatchNormalization("Y", "X", epsilon: 0).Fit(view).Transform(view);
        var statistics = new BatchStatistics(3);
        statistics.Add(ChannelLayout.Features(Rows, 3), (float[])[.. output.Rows<float>("Y").SelectMany(row => row)]);
        for (int c = 0; c < 3; c++)
        {
            Assert.AreEqual(0, statistics.Mean[c], 1e-6);
            Assert.AreEqual(1, statistics.Variance(c), 1e-6);
        }
    }

    static void AssertStatistics(BatchStatistics expected, IDataView view, int? axis = null)
    {
        BatchNormalizationState state = Fits.Fit(view, options => options.Axis = axis);
        double[] variance = [.. Enumerable.Range(0, expected.Channels).Select(channel => expected.Variance(channel))];
        Agreement.Within(1e-14, expected.Mean, state.MovingMean, "mean");
        Agreement.Within(1e-13, variance, state.MovingVariance, "variance");
        Agreement.SameBits(expected.Count, state.GetPopulation()!.Count, "count");
        Assert.AreEqual(0, state.InitialWeight);
    }
}
