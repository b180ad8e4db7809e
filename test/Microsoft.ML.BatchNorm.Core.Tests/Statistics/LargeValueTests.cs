namespace Microsoft.ML.BatchNorm.Tests.Statistics;

/// <summary>Values near the end of the range of their type.</summary>
[TestClass]
public sealed class LargeValueTests
{
    const int Positions = 1000, Channels = 3;

    /// <summary>Columns, columns of several values, runs.</summary>
    static readonly ChannelLayout[] layouts =
    [
        ChannelLayout.Features(Positions, Channels), new([Positions / 10, Channels, 10], axis: 1),
        new([Positions / 100, Channels, 100], axis: 1), new([1, Channels, Positions], axis: 1),
    ];

    static readonly BatchNormalizationOptions keras = BatchNormalizationOptions.Keras;

    [TestMethod]
    [DataRow(1e305)]
    [DataRow(-1.7e308)]
    [DataRow(double.MaxValue)]
    [DataRow(1.1e200)]
    [DataRow(1.3e157)]
    [DataRow(0.1)]
    [DataRow(double.Epsilon)]
    public void A_constant_is_its_mean_and_has_no_variance(double value)
    {
        foreach (ChannelLayout layout in layouts)
        {
            double[] x = new double[layout.Count];
            Array.Fill(x, value);
            foreach (NonFinite nonFinite in Enum.GetValues<NonFinite>())
            {
                foreach (bool[] mask in new bool[][] { [], Sample.Mask(layout.Positions, 1) })
                {
                    var statistics = new BatchStatistics(Channels);
                    statistics.Add(layout, x, mask, nonFinite);
                    statistics.Add(layout, x, mask, nonFinite);
                    for (int c = 0; c < Channels; c++)
                        Assert.AreEqual((value, 0), (statistics.Mean[c], statistics.Variance(c)), $"{layout}");
                }
            }
        }
    }

    [TestMethod]
    public void A_constant_that_is_large_is_beta_and_moves_the_statistics()
    {
        ChannelLayout layout = layouts[0];
        double[] x = new double[layout.Count], y = new double[layout.Count];
        Array.Fill(x, 1e305);
        foreach (BatchNormalizationOptions options in new[]
            {
                keras with { MovingStatistics = MovingStatistics.Population }, keras with { Momentum = 0 },
                keras with { Momentum = 0, VirtualBatchSize = 7 },
            })
        {
            BatchNormalizationState state = BatchNormalization.Initialize(options, Channels);
            ForwardPass pass = BatchNormalization.Forward(options, state, layout, x, y, training: true);
            Assert.IsFalse(y.AsSpan().ContainsAnyExcept(0.0));
            Agreement.Within(1e-15, [1e305, 1e305, 1e305], pass.NextState.MovingMean);
            Agreement.SameBits<double>([0, 0, 0], pass.NextState.MovingVariance);
        }
    }

    [TestMethod]
    public void Groups_of_rows_whose_means_add_up_to_more_than_a_double_have_an_average()
    {
        BatchNormalizationOptions options = keras with { Momentum = 0, VirtualBatchSize = 2 };
        double[] x = [1.5e308, -1.5e308, 1.7e308, 1.5e308, -1.5e308, 1.7e308];
        BatchNormalizationState state = BatchNormalization.UpdateMovingStatistics(
            options, BatchNormalization.Initialize(options, 1), ChannelLayout.Features(6, 1), x);
        Assert.AreEqual(1.7e308 / 3, state.MovingMean[0], 1e293);
        Assert.AreEqual(0, state.MovingVariance[0]);
    }

    [TestMethod]
    public void Statistics_of_values_with_squares_up_to_a_double_are_those_of_the_same_values_scaled()
    {
        const int exponent = 500;
        foreach (ChannelLayout layout in layouts)
        {
            double[] x = Sample.Doubles(layout.Count, 1, mean: 3);
            double[] large = Array.ConvertAll(x, value => Math.ScaleB(value, exponent));
            var expected = new BatchStatistics(Channels);
            expected.Add(layout, x);
            var actual = new BatchStatistics(Channels);
            actual.Add(layout, large);
            for (int c = 0; c < Channels; c++)
            {
                Assert.AreEqual(Math.ScaleB(expected.Mean[c], exponent), actual.Mean[c]);
                Assert.AreEqual(Math.ScaleB(expected.M2[c], 2 * exponent), actual.M2[c]);
            }
        }
    }

    [TestMethod]
    public void First_values_far_from_all_others_overflow_no_sum_that_the_variance_does_not()
    {
        ChannelLayout[] many = [ChannelLayout.Features(8000, 16), new([80, 16, 100], axis: 1)];
        foreach (ChannelLayout layout in many)
        {
            double[] x = new double[layout.Count];
            for (int i = 0; i < x.Length; i++)
                x[i] = layout.PositionOf(i) < 100 ? 1e153 : 0;
            var statistics = new BatchStatistics(layout.Channels);
            statistics.Add(layout, x);
            for (int c = 0; c < layout.Channels; c++)
            {
                Assert.AreEqual(0.0125e153, statistics.Mean[c], 1e138);
                Assert.AreEqual(0.0125 * 0.9875 * 1e306, statistics.Variance(c), 1e292);
            }
        }
    }

    [TestMethod]
    [DataRow(1e308)]
    [DataRow(1e200)]
    [DataRow(double.MaxValue)]
    public void A_variance_that_no_double_holds_is_an_error_that_names_the_channel(double value)
    {
        foreach (ChannelLayout layout in layouts)
        {
            // Half of the values at a time, so that no shard needs have both.
            double[] x = new double[layout.Count];
            for (int i = 0; i < x.Length; i++)
                x[i] = layout.ChannelOf(i) != 1 ? 1 : 2 * layout.PositionOf(i) < layout.Positions ? value : -value;
            foreach (NonFinite nonFinite in Enum.GetValues<NonFinite>())
            {
                var statistics = new BatchStatistics(Channels);
                Fails(() => statistics.Add(layout, x, nonFinite: nonFinite));
                Assert.IsTrue(statistics.IsEmpty);
            }
            BatchNormalizationState state = BatchNormalization.Initialize(keras, Channels);
            Fails(() => BatchNormalization.Forward(keras, state, layout, x, new double[x.Length], training: true));
            BatchNormalizationOptions untracked = keras with { TrackMovingStatistics = false };
            Fails(() => BatchNormalization.Forward(untracked, state, layout, x, new double[x.Length], training: false));
            Fails(() => BatchNormalization.UpdateMovingStatistics(keras, state, layout, x));
        }

        static void Fails(Action action) => StringAssert.Contains(
            Assert.ThrowsExactly<InvalidDataException>(action).Message, "The variance of channel 1 overflows a double");
    }

    [TestMethod]
    public void Batches_that_only_together_have_a_variance_that_no_double_holds_are_an_error()
    {
        BatchNormalizationOptions options = keras with { MovingStatistics = MovingStatistics.Population };
        using IStatisticsFit fit = new CpuEngine().StartFit(options, BatchNormalization.Initialize(options, 1));
        fit.Add(ChannelLayout.Features(2, 1), new[] { 1e300, 1e300 });
        fit.Add(ChannelLayout.Features(2, 1), new[] { -1e300, -1e300 });
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidDataException>(fit.Complete).Message,
            "The variance of channel 0 overflows a double");
    }

    [TestMethod]
    [DataRow(3.4e38f, -3.4e38f)]
    [DataRow(3.4e38f, -1e38f)]
    [DataRow(-3.4e38f, 1e37f)]
    [DataRow(3.4e38f, 3.3e38f)]
    [DataRow(3e37f, -3e37f)]
    public void Floats_near_their_end_are_normalized(float one, float other)
    {
        foreach (ChannelLayout layout in layouts)
        {
            float[] x = new float[layout.Count], y = new float[layout.Count], served = new float[layout.Count];
            for (int i = 0; i < x.Length; i++)
                x[i] = layout.PositionOf(i) % 4 == 0 ? one : other;
            double mean = (one + 3.0 * other) / 4, deviation = Math.Abs(one - (double)other) * Math.Sqrt(3) / 4;
            double[] expected = Array.ConvertAll(x, value => (value - mean) / deviation);

            BatchNormalizationOptions options = keras with { Momentum = 0 };
            BatchNormalizationState state = BatchNormalization.Initialize(options, Channels);
            ForwardPass pass = BatchNormalization.Forward(options, state, layout, x, y, training: true);
            Agreement.Within(1e-6, expected, y, $"{layout}");
            new AffineMap(options, pass.NextState).Apply(layout, x, served);
            Agreement.Within(1e-6, expected, served, $"{layout}, served");
        }
    }
}
