namespace Microsoft.ML.BatchNorm.Tests.Layer;

/// <summary>Gradients against central differences of the loss Σ w·y, in double.</summary>
[TestClass]
public sealed class GradientTests
{
    const double Step = 1e-5;

    static readonly BatchNormalizationOptions Base = BatchNormalizationOptions.Keras with { Axis = 1 };

    static IEnumerable<object[]> Cases
    {
        get
        {
            int[][] shapes = [[7, 3], [5, 17], [40, 2], [3, 2, 5], [2, 3, 4, 5], [2, 2, 2, 3, 2], [3, 4, 20]];
            (string, BatchNormalizationOptions)[] options =
            [
                ("training", Base),
                ("PyTorch", BatchNormalizationOptions.PyTorch),
                ("frozen", Base with { Trainable = false }),
                ("frozen statistics", Base with { UpdateStatistics = false }),
                ("no statistics kept", Base with { TrackMovingStatistics = false }),
                ("no scale", Base with { Scale = false }),
                ("no center", Base with { Center = false }),
                ("virtual batches", Base with { VirtualBatchSize = 2 }),
                ("population", Base with { MovingStatistics = MovingStatistics.Population }),
                ("renorm", Base with { Renorm = new() { RMin = 0.5, RMax = 2, DMax = 1 } }),
            ];
            return
                from shape in shapes
                from option in options
                from masked in new[] { false, true }
                where !(masked && option.Item2.VarianceConvention == VarianceConvention.Sample)
                select new object[] { shape, option.Item1, option.Item2, masked };
        }
    }

    public static string Name(System.Reflection.MethodInfo method, object[] data) =>
        $"{method.Name} ([{string.Join(", ", (int[])data[0])}], {data[1]}{((bool)data[3] ? ", masked" : "")})";

    [TestMethod]
    [DynamicData(nameof(Cases), DynamicDataDisplayName = nameof(Name))]
    public void Gradients_agree_with_central_differences(
        int[] shape, string name, BatchNormalizationOptions options, bool masked)
    {
        _ = name;
        var layout = new ChannelLayout(shape, options.Axis ?? 1);
        double[] x = Sample.Doubles(layout.Count, 1, 2, 1.5), dy = Sample.Doubles(layout.Count, 2);
        bool[] mask = masked ? Sample.Mask(layout.Positions, 4) : [];
        if (masked)
            mask[0] = mask[1] = true;
        BatchNormalizationState state = Sample.State(options, layout.Channels);
        double[] y = new double[x.Length], dx = new double[x.Length];
        double[] dGamma = new double[layout.Channels], dBeta = new double[layout.Channels];
        ForwardPass pass = BatchNormalization.Forward(options, state, layout, x, y, training: true, mask);
        BatchNormalization.Backward(pass, x, dy, dx, dGamma, dBeta);

        // Renormalization's r and d are constants to the gradient, so its differences cannot be taken at x.
        if (options.Renorm is null)
        {
            double[] expected = new double[x.Length];
            for (int i = 0; i < x.Length; i++)
                expected[i] = Difference(step => { double[] moved = [.. x]; moved[i] += step; return (moved, state); });
            Agreement.Within(1e-8, expected, dx, "dx");
        }
        if (options.Scale)
            Agreement.Within(1e-8, Differences((gamma, beta, c, step) => gamma[c] += step), dGamma, "dgamma");
        if (options.Center)
            Agreement.Within(1e-8, Differences((gamma, beta, c, step) => beta[c] += step), dBeta, "dbeta");

        double[] Differences(Action<float[], float[], int, float> move)
        {
            double[] expected = new double[layout.Channels];
            for (int c = 0; c < expected.Length; c++)
            {
                // A step that a float of this size holds exactly, so that the difference is exact too: y is linear in
                // it.
                expected[c] = Difference(
                    step =>
                    {
                        float[] gamma = state.Gamma.ToArray(), beta = state.Beta.ToArray();
                        move(gamma, beta, c, (float)step);
                        return (x, state.WithAffine(gamma, beta));
                    },
                    1f / 1024);
            }
            return expected;
        }

        double Difference(Func<double, (double[], BatchNormalizationState)> at, double step = Step)
        {
            (double[] right, BatchNormalizationState rightState) = at(step);
            (double[] left, BatchNormalizationState leftState) = at(-step);
            return (Loss(right, rightState) - Loss(left, leftState)) / (2 * step);
        }

        double Loss(double[] input, BatchNormalizationState from)
        {
            double[] output = new double[input.Length];
            BatchNormalization.Forward(options, from, layout, input, output, training: true, mask);
            return output.Zip(dy, (value, weight) => value * weight).Sum();
        }
    }

    [TestMethod]
    public void Renormalizations_gradient_is_that_of_batch_normalization_times_r()
    {
        var options = Base with { Renorm = new() { RMax = 1.5, DMax = 0.5 } };
        ChannelLayout layout = ChannelLayout.Features(20, 3);
        double[] x = Sample.Doubles(60, 1, 2, 1.5), dy = Sample.Doubles(60, 2), y = new double[60];
        BatchNormalizationState state = Sample.State(options, 3);
        ForwardPass renormalized = BatchNormalization.Forward(options, state, layout, x, y, training: true);
        ForwardPass plain = BatchNormalization.Forward(Base, state, layout, x, y, training: true);
        double[] dx = new double[60], plainDx = new double[60];
        BatchNormalization.Backward(renormalized, x, dy, dx);
        BatchNormalization.Backward(plain, x, dy, plainDx);
        for (int i = 0; i < dx.Length; i++)
        {
            double deviation = 1 / plain.InverseDeviation()[i % 3];
            double r = Math.Min(deviation / state.Renorm!.StandardDeviation[i % 3], 1.5);
            Assert.AreEqual(plainDx[i] * r, dx[i], 1e-12);
        }
    }

    [TestMethod]
    public void Floats_give_the_gradients_of_doubles()
    {
        foreach (int[] shape in new[] { new[] { 1000, 20 }, [30, 5, 40], [200, 3, 4] })
        {
            var layout = new ChannelLayout(shape, 1);
            float[] x = Sample.Floats(layout.Count, 1, 1000), dy = Sample.Floats(layout.Count, 2);
            float[] y = new float[x.Length], dx = new float[x.Length];
            double[] wideX = Sample.Widen(x), wideDy = Sample.Widen(dy), wideY = new double[x.Length],
                wideDx = new double[x.Length];
            BatchNormalizationState state = Sample.State(Base, layout.Channels);
            ForwardPass pass = BatchNormalization.Forward(Base, state, layout, x, y, training: true);
            BatchNormalization.Backward(pass, x, dy, dx);
            ForwardPass wide = BatchNormalization.Forward(Base, state, layout, wideX, wideY, training: true);
            BatchNormalization.Backward(wide, wideX, wideDy, wideDx);
            Agreement.Within(1e-6, wideDx, dx);
        }
    }

    [TestMethod]
    public void Dx_may_take_the_memory_of_dy()
    {
        ChannelLayout layout = ChannelLayout.Features(30, 3);
        float[] x = Sample.Floats(90, 1), dy = Sample.Floats(90, 2), y = new float[90], dx = new float[90];
        ForwardPass pass = BatchNormalization.Forward(Base, Sample.State(Base, 3), layout, x, y, training: true);
        BatchNormalization.Backward(pass, x, dy, dx);
        BatchNormalization.Backward(pass, x, dy, dy);
        Agreement.SameBits<float>(dx, dy);
    }
}
