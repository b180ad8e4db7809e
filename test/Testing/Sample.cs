namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>Inputs of a named seed.</summary>
static class Sample
{
    public static double[] Doubles(int length, int seed, double mean = 0, double deviation = 1)
    {
        double[] values = new double[length];
        Initializer.Normal(mean, deviation, seed).Fill(values);
        return values;
    }

    public static float[] Floats(int length, int seed, double mean = 0, double deviation = 1) =>
        Array.ConvertAll(Doubles(length, seed, mean, deviation), value => (float)value);

    public static double[] Widen(ReadOnlySpan<float> values) =>
        Array.ConvertAll(values.ToArray(), value => (double)value);

    public static bool[] Mask(int length, int seed, double kept = 0.6)
    {
        var random = new Random(seed);
        bool[] mask = new bool[length];
        for (int i = 0; i < length; i++)
            mask[i] = random.NextDouble() < kept;
        return mask;
    }

    /// <summary>A state with numbers of its own in every field that inference uses.</summary>
    public static BatchNormalizationState State(BatchNormalizationOptions options, int channels, int seed = 5)
    {
        BatchNormalizationState fresh = BatchNormalization.Initialize(options, channels);
        double[] variance = Array.ConvertAll(Doubles(channels, seed + 1), value => 0.5 + value * value);
        RenormStatistics? renorm = options.Renorm is null
            ? null
            : new(
                Array.ConvertAll(variance, Math.Sqrt), Doubles(channels, seed + 4),
                Array.ConvertAll(variance, Math.Sqrt));
        return new BatchNormalizationState(
            Doubles(channels, seed), variance,
            fresh.Gamma.IsEmpty ? [] : Floats(channels, seed + 2, 1, 0.3),
            fresh.Beta.IsEmpty ? [] : Floats(channels, seed + 3),
            batchesSeen: 3, renorm);
    }
}

static class Agreement
{
    /// <summary>|actual − expected| ≤ tolerance · max(1, max|expected|), value by value.</summary>
    public static void Within(
        double tolerance, ReadOnlySpan<double> expected, ReadOnlySpan<double> actual, string what = "")
    {
        Assert.AreEqual(expected.Length, actual.Length, what);
        double bound = 1;
        foreach (double value in expected)
            bound = Math.Max(bound, Math.Abs(value));
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.IsTrue(
                Math.Abs(expected[i] - actual[i]) <= tolerance * bound,
                $"{what}[{i}] is {actual[i]:R}, expected {expected[i]:R} within {tolerance * bound:R}.");
        }
    }

    public static void Within(
        double tolerance, ReadOnlySpan<double> expected, ReadOnlySpan<float> actual, string what = "") =>
        Within(tolerance, expected, Sample.Widen(actual), what);

    public static void SameBits<T>(ReadOnlySpan<T> expected, ReadOnlySpan<T> actual, string what = "")
        where T : unmanaged
    {
        Assert.IsTrue(
            System.Runtime.InteropServices.MemoryMarshal.AsBytes(expected)
                .SequenceEqual(System.Runtime.InteropServices.MemoryMarshal.AsBytes(actual)),
            $"{what} differs in its bits.");
    }
}
