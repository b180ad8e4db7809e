namespace Microsoft.ML.BatchNorm.Tests.Layer;

/// <summary>Every layout and size of input, against the formulas.</summary>
[TestClass]
public sealed class ShapeTests
{
    static IEnumerable<object[]> Shapes
    {
        get
        {
            int[][] shapes =
            [
                [1, 1], [2, 1], [63, 1], [64, 1], [65, 1], [300, 1], [1000, 3], [17, 5], [257, 15], [256, 16],
                [255, 17],
                [33, 31], [100, 33], [70, 63], [9, 64], [65, 65], [40, 100], [6, 512], [37, 515], [5, 1030], [3, 5000],
                [4, 3, 2], [4, 3, 7], [5, 2, 15], [5, 2, 16], [5, 2, 17], [2, 3, 33], [2, 2, 9001], [300, 2, 20],
                [3, 4, 5, 6], [2, 3, 7, 7], [8, 16, 2, 2], [2, 2, 3, 4, 3], [2, 3, 2, 1, 9],
            ];
            return
                from shape in shapes
                from axis in Enumerable.Range(1, shape.Length - 1).Append(-1).Append(0)
                select new object[] { shape, axis };
        }
    }

    public static string Name(System.Reflection.MethodInfo method, object[] data) =>
        $"{method.Name} ([{string.Join(", ", (int[])data[0])}], axis {data[1]})";

    [TestMethod]
    [DynamicData(nameof(Shapes), DynamicDataDisplayName = nameof(Name))]
    public void Training_mode_follows_the_formulas(int[] shape, int axis)
    {
        foreach (bool masked in new[] { false, true })
        {
            var options = BatchNormalizationOptions.Keras with { Axis = axis };
            var layout = new ChannelLayout(shape, axis);
            float[] x = Sample.Floats(layout.Count, 1, 3, 2), y = new float[x.Length];
            bool[] mask = masked ? Sample.Mask(layout.Positions, 2) : [];
            if (masked)
                mask[0] = true;
            BatchNormalizationState state = Sample.State(options, layout.Channels);

            ForwardPass pass = BatchNormalization.Forward(options, state, layout, x, y, training: true, mask);

            var naive = new Naive(options, layout, mask);
            (_, double[] mean, double[] variance, _) = naive.Statistics(Sample.Widen(x));
            Agreement.Within(
                2e-6, naive.Normalize(Sample.Widen(x), mean, variance, state.Gamma.ToArray(), state.Beta.ToArray()), y,
                "y");
            Agreement.Within(1e-14, Moved(state.MovingMean, mean), pass.NextState.MovingMean, "movingMean");
            Agreement.Within(
                1e-14, Moved(state.MovingVariance, variance), pass.NextState.MovingVariance, "movingVariance");
        }
    }

    [TestMethod]
    [DynamicData(nameof(Shapes), DynamicDataDisplayName = nameof(Name))]
    public void Inference_mode_follows_the_formulas_on_floats_and_doubles(int[] shape, int axis)
    {
        var options = BatchNormalizationOptions.Keras with { Axis = axis };
        var layout = new ChannelLayout(shape, axis);
        double[] x = Sample.Doubles(layout.Count, 1, 3, 2), y = new double[x.Length];
        float[] single = Array.ConvertAll(x, value => (float)value), singleOutput = new float[x.Length];
        BatchNormalizationState state = Sample.State(options, layout.Channels);
        var naive = new Naive(options, layout, []);
        double[] mean = state.MovingMean.ToArray(), variance = state.MovingVariance.ToArray();
        float[] gamma = state.Gamma.ToArray(), beta = state.Beta.ToArray();

        ForwardPass pass = BatchNormalization.Forward(options, state, layout, x, y, training: false);
        new AffineMap(options, state).Apply(layout, single, singleOutput);

        Assert.AreSame(state, pass.NextState);
        Agreement.Within(1e-14, naive.Normalize(x, mean, variance, gamma, beta), y);
        Agreement.Within(5e-7, naive.Normalize(Sample.Widen(single), mean, variance, gamma, beta), singleOutput);
    }

    [TestMethod]
    [DynamicData(nameof(Shapes), DynamicDataDisplayName = nameof(Name))]
    public void In_place_output_has_the_same_bits(int[] shape, int axis)
    {
        var options = BatchNormalizationOptions.Keras with { Axis = axis };
        var layout = new ChannelLayout(shape, axis);
        float[] x = Sample.Floats(layout.Count, 1), y = new float[x.Length];
        BatchNormalizationState state = Sample.State(options, layout.Channels);

        BatchNormalization.Forward(options, state, layout, x, y, training: true);
        BatchNormalization.Forward(options, state, layout, x, x, training: true);

        Agreement.SameBits<float>(y, x);
    }

    [TestMethod]
    public void Output_at_any_address_has_the_same_bits()
    {
        // Large enough to be written past the caches, which needs aligned addresses.
        foreach (int[] shape in new[] { new[] { 36_000, 64 }, [460_000, 5], [2, 3, 360_001] })
        {
            var layout = new ChannelLayout(shape, axis: 1);
            var options = BatchNormalizationOptions.Keras with { Axis = 1 };
            var map = new AffineMap(options, Sample.State(options, layout.Channels));
            float[] x = Sample.Floats(layout.Count, 1), first = new float[x.Length], memory = new float[x.Length + 16];
            map.Apply(layout, x, first);
            for (int offset = 1; offset < 16; offset += 3)
            {
                Span<float> y = memory.AsSpan(offset, x.Length);
                map.Apply(layout, x, y);
                Agreement.SameBits<float>(first, y, $"offset {offset}");
            }
        }
    }

    static double[] Moved(ReadOnlySpan<double> moving, double[] batch)
    {
        double[] moved = moving.ToArray();
        for (int c = 0; c < moved.Length; c++)
            moved[c] = 0.99 * moved[c] + (1 - 0.99) * batch[c];
        return moved;
    }
}
