namespace Microsoft.ML.BatchNorm.Tests.Layer;

[TestClass]
public sealed class NonFiniteTests
{
    static readonly BatchNormalizationOptions Keras = BatchNormalizationOptions.Keras with { Axis = 1 };

    static IEnumerable<object[]> Places =>
        from shape in new int[][] { [70, 3], [5, 3], [300, 64], [7, 600], [2, 3, 40], [3, 3, 5], [2, 3, 5000] }
        from value in new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity }
        from share in new[] { 0, 0.37, 0.999999 }
        select new object[] { shape, value, share };

    [TestMethod]
    [DynamicData(nameof(Places))]
    public void It_is_an_error_that_names_channel_row_and_value_and_changes_nothing(
        int[] shape, float value, double share)
    {
        var layout = new ChannelLayout(shape, 1);
        BatchNormalizationState state = Sample.State(Keras, layout.Channels);
        foreach (bool training in new[] { true, false })
        {
            foreach (bool inPlace in new[] { false, true })
            {
                float[] x = Sample.Floats(layout.Count, 1), y = inPlace ? x : new float[x.Length];
                int at = (int)(share * x.Length), inner = x.Length / shape[0];
                x[at] = value;
                string message = Assert.ThrowsExactly<InvalidDataException>(
                    () => BatchNormalization.Forward(Keras, state, layout, x, y, training)).Message;
                StringAssert.Contains(message, $"channel {at % inner / (inner / shape[1])}, row {at / inner} ");
                StringAssert.Contains(message, value.ToString(System.Globalization.CultureInfo.InvariantCulture));
            }
        }
    }

    [TestMethod]
    [DynamicData(nameof(Places))]
    public void Ignored_it_does_not_count_and_passes_through_unchanged(int[] shape, float value, double share)
    {
        var options = Keras with { NonFinite = NonFinite.Ignore };
        var layout = new ChannelLayout(shape, 1);
        BatchNormalizationState state = Sample.State(options, layout.Channels);
        float[] x = Sample.Floats(layout.Count, 1, 2), y = new float[x.Length];
        float[] dx = new float[x.Length], dy = Sample.Floats(x.Length, 2);
        int at = (int)(share * x.Length);
        x[at] = value;
        double[] wide = Sample.Widen(x);
        var naive = new Naive(options, layout, []);
        (double[] count, double[] mean, double[] variance, _) = naive.Statistics(wide);

        ForwardPass pass = BatchNormalization.Forward(options, state, layout, x, y, training: true);
        BatchNormalization.Backward(pass, x, dy, dx);

        var statistics = new BatchStatistics(layout.Channels);
        statistics.Add(layout, x, nonFinite: NonFinite.Ignore);
        Agreement.SameBits<double>(count, statistics.Count);
        Agreement.Within(1e-13, mean, statistics.Mean);
        Agreement.Within(
            1e-13, variance, Enumerable.Range(0, layout.Channels).Select(c => statistics.Variance(c)).ToArray());
        double[] expected = naive.Normalize(wide, mean, variance, state.Gamma.ToArray(), state.Beta.ToArray());
        Assert.AreEqual(value, y[at]);
        Assert.AreEqual(dy[at], dx[at]);
        expected[at] = y[at] = 0;
        Agreement.Within(2e-6, expected, y);
        Assert.IsTrue(Array.TrueForAll(dx, float.IsFinite));

        float[] inferred = new float[x.Length];
        BatchNormalization.Forward(options, state, layout, x, inferred, training: false);
        Assert.AreEqual(value, inferred[at]);
    }

    [TestMethod]
    public void A_channel_with_nothing_finite_keeps_its_statistics_and_is_normalized_with_them()
    {
        var options = Keras with { NonFinite = NonFinite.Ignore };
        BatchNormalizationState state = Sample.State(options, 2);
        float[] x = [1, float.NaN, 2, float.NaN, 4, float.NaN], y = new float[6];
        BatchNormalizationState next = BatchNormalization.Forward(
            options, state, ChannelLayout.Features(3, 2), x, y, training: true).NextState;
        Assert.AreEqual(state.MovingMean[1], next.MovingMean[1]);
        Assert.AreEqual(state.MovingVariance[1], next.MovingVariance[1]);
        Assert.AreNotEqual(state.MovingMean[0], next.MovingMean[0]);
    }

    [TestMethod]
    public void A_gradient_that_is_not_finite_is_named()
    {
        ChannelLayout layout = ChannelLayout.Features(4, 2);
        float[] x = Sample.Floats(8, 1), y = new float[8], dx = new float[8], dy = new float[8];
        dy[5] = float.NaN;
        ForwardPass pass = BatchNormalization.Forward(Keras, Sample.State(Keras, 2), layout, x, y, training: true);
        string message =
            Assert.ThrowsExactly<InvalidDataException>(() => BatchNormalization.Backward(pass, x, dy, dx)).Message;
        StringAssert.Contains(message, "dy is not finite: channel 1, row 2 has NaN");
    }
}
