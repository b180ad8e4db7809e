namespace Microsoft.ML.BatchNorm.Tests.Layer;

/// <summary>One row, no variance, nothing kept, one feature, a hundred thousand, large offsets.</summary>
[TestClass]
public sealed class HardInputTests
{
    static readonly BatchNormalizationOptions Keras = BatchNormalizationOptions.Keras;

    [TestMethod]
    public void One_row_is_mapped_to_beta_and_has_variance_0()
    {
        BatchNormalizationState state = Sample.State(Keras, 3);
        float[] y = new float[3];
        BatchNormalizationState next = BatchNormalization.Forward(
            Keras, state, ChannelLayout.Features(1, 3), new float[] { 7, -8, 1e30f }, y, training: true).NextState;
        Agreement.SameBits(state.Beta, y);
        for (int c = 0; c < 3; c++)
            Assert.AreEqual(0.99 * state.MovingVariance[c], next.MovingVariance[c], 1e-15);
    }

    [TestMethod]
    public void One_row_under_the_sample_variance_is_an_error_that_names_the_channel()
    {
        var options = BatchNormalizationOptions.PyTorch;
        BatchNormalizationState state = Sample.State(options, 2);
        foreach (BatchNormalizationOptions each in new[] { options, options with { TrackMovingStatistics = false } })
        {
            InvalidDataException error = Assert.ThrowsExactly<InvalidDataException>(
                () => BatchNormalization.Forward(
                    each, state, ChannelLayout.Features(1, 2), new float[2], new float[2], training: true));
            StringAssert.Contains(error.Message, "Channel 0");
        }
        BatchNormalization.Forward(
            options, state, ChannelLayout.Features(1, 2), new float[2], new float[2], training: false);
    }

    [TestMethod]
    public void A_constant_column_is_mapped_to_beta_even_without_epsilon()
    {
        foreach (double epsilon in new[] { 1e-3, 0 })
        {
            var options = Keras with { Epsilon = epsilon };
            BatchNormalizationState state = Sample.State(options, 1);
            float[] x = new float[1000], y = new float[1000], dx = new float[1000];
            Array.Fill(x, 12345.678f);
            ForwardPass pass = BatchNormalization.Forward(
                options, state, ChannelLayout.Features(1000, 1), x, y, training: true);
            BatchNormalization.Backward(pass, x, Sample.Floats(1000, 1), dx);
            foreach (float value in y)
                Assert.AreEqual(state.Beta[0], value);
            Assert.IsTrue(Array.TrueForAll(dx, float.IsFinite));
            Assert.AreEqual(0.99 * state.MovingVariance[0], pass.NextState.MovingVariance[0]);
        }
    }

    [TestMethod]
    public void A_mask_that_hides_everything_leaves_the_state_and_gives_the_output_of_inference()
    {
        foreach (MovingStatistics kind in Enum.GetValues<MovingStatistics>())
        {
            foreach (int? virtualBatchSize in new int?[] { null, 3 })
            {
                var options = Keras with { MovingStatistics = kind, VirtualBatchSize = virtualBatchSize };
                BatchNormalizationState state = Sample.State(options, 4);
                ChannelLayout layout = ChannelLayout.Features(9, 4);
                float[] x = Sample.Floats(36, 1), y = new float[36], expected = new float[36];
                x[5] = float.NaN;
                ForwardPass pass = BatchNormalization.Forward(
                    options, state, layout, x, y, training: true, new bool[9]);
                Assert.AreSame(state, pass.NextState);
                x[5] = 0;
                new AffineMap(options, state).Apply(layout, x, expected);
                Assert.IsTrue(float.IsNaN(y[5]));
                y[5] = expected[5];
                Agreement.SameBits<float>(expected, y);
                Assert.IsFalse(pass.UsedBatchStatistics);
            }
        }
    }

    [TestMethod]
    public void A_hidden_position_may_hold_anything()
    {
        ChannelLayout layout = ChannelLayout.Features(6, 2);
        float[] x = Sample.Floats(12, 1), y = new float[12], clean = new float[12], dx = new float[12];
        bool[] mask = [true, true, false, true, false, true];
        BatchNormalizationState state = Sample.State(Keras, 2);
        BatchNormalizationState expected = BatchNormalization.Forward(
            Keras, state, layout, x, clean, training: true, mask).NextState;
        x[4] = float.NaN;
        x[9] = float.PositiveInfinity;
        ForwardPass pass = BatchNormalization.Forward(Keras, state, layout, x, y, training: true, mask);
        Assert.AreEqual(expected, pass.NextState);
        for (int i = 0; i < y.Length; i++)
        {
            if (i is not (4 or 9))
                Assert.AreEqual(clean[i], y[i]);
        }
        float[] dy = Sample.Floats(12, 2);
        dy[4] = dy[9] = 0;
        BatchNormalization.Backward(pass, x, dy, dx);
        Assert.IsTrue(Array.TrueForAll(dx, float.IsFinite));
    }

    [TestMethod]
    public void A_hundred_thousand_features_are_normalized_one_by_one()
    {
        const int channels = 100_000, rows = 70;
        ChannelLayout layout = ChannelLayout.Features(rows, channels);
        float[] x = Sample.Floats(layout.Count, 1, 3, 2), y = new float[x.Length];
        BatchNormalizationState state = BatchNormalization.Initialize(Keras, channels);
        ForwardPass pass = BatchNormalization.Forward(Keras, state, layout, x, y, training: true, threads: 2);
        for (int c = 0; c < channels; c += 997)
        {
            double mean = 0, square = 0;
            for (int row = 0; row < rows; row++)
            {
                mean += y[row * channels + c] / (double)rows;
                square += y[row * channels + c] * (double)y[row * channels + c] / rows;
            }
            Assert.AreEqual(0, mean, 1e-6);
            Assert.AreEqual(1, square, 2e-3);
        }
        Assert.AreEqual(channels, pass.NextState.Channels);
    }

    [TestMethod]
    public void A_large_mean_against_a_small_deviation_keeps_six_digits()
    {
        const int rows = 5000;
        float[] x = Sample.Floats(rows, 1, 1e4, 0.1), y = new float[rows];
        var options = Keras with { Momentum = 0, Epsilon = 1e-6, Center = false, Scale = false };
        ChannelLayout layout = ChannelLayout.Features(rows, 1);
        BatchNormalizationState state = BatchNormalization.Forward(
            options, BatchNormalization.Initialize(options, 1), layout, x, y, training: true).NextState;
        var naive = new Naive(options, layout, []);
        (_, double[] mean, double[] variance, _) = naive.Statistics(Sample.Widen(x));
        double[] exact = naive.Normalize(Sample.Widen(x), mean, variance, [], []);
        Agreement.Within(2e-7, exact, y, "training");
        new AffineMap(options, state).Apply(layout, x, y);
        Agreement.Within(2e-7, exact, y, "inference");
    }

    [TestMethod]
    public void Numbers_that_no_float_holds_still_give_the_right_floats()
    {
        // A deviation of 1e-42 and no epsilon: the scale, 1e42, is beyond a float.
        var options = Keras with { Epsilon = 0, Center = false, Scale = false };
        var state = new BatchNormalizationState([0], [1e-84]);
        float[] y = new float[3];
        new AffineMap(options, state).Apply(ChannelLayout.Features(3, 1), [1e-42f, 0, -2e-42f], y);
        Agreement.Within(1e-3, [1, 0, -2], y);
    }
}
