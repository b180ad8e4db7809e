using System.Text.RegularExpressions;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>Which of its optional parts a state has.</summary>
[Flags]
enum StateParts
{
    None = 0,
    Gamma = 1,
    Beta = 2,
    Renorm = 4,
    Population = 8,
    All = Gamma | Beta | Renorm | Population,
}

/// <summary>States to be saved, and both kinds of files by one pair of functions.</summary>
static class States
{
    public static BatchNormalizationState Random(int channels, StateParts parts, int seed = 1)
    {
        var random = new Random(seed);
        double[] Signed() => [.. Enumerable.Range(0, channels).Select(_ => random.NextDouble() * 20 - 10)];
        double[] Positive() => [.. Enumerable.Range(0, channels).Select(_ => random.NextDouble() * 5)];
        float[] Affine(StateParts part) => parts.HasFlag(part) ? Array.ConvertAll(Signed(), v => (float)v) : [];

        var state = new BatchNormalizationState(
            Signed(), Positive(), Affine(StateParts.Gamma), Affine(StateParts.Beta), random.NextInt64(1, 1 << 40),
            initialWeight: random.NextDouble(),
            parts.HasFlag(StateParts.Renorm) ? new RenormStatistics(Positive(), Signed(), Positive()) : null,
            population: null);
        if (!parts.HasFlag(StateParts.Population))
            return state;

        var statistics = new BatchStatistics(channels);
        for (int batch = 0; batch < 2; batch++)
        {
            float[] rows = [.. Enumerable.Range(0, 7 * channels).Select(_ => random.NextSingle())];
            statistics.Add(ChannelLayout.Features(7, channels), rows);
        }
        return state.WithPopulation(statistics, batches: 3);
    }

    public static IEnumerable<object[]> AllParts =>
        Enumerable.Range(0, 16).Select(parts => new object[] { parts });

    /// <summary>Options that a state fits.</summary>
    public static BatchNormalizationOptions OptionsOf(BatchNormalizationState state) => new()
    {
        Scale = !state.Gamma.IsEmpty,
        Center = !state.Beta.IsEmpty,
        Renorm = state.Renorm is null ? null : new(),
    };

    public static byte[] Save(BatchNormalizationState state)
    {
        var stream = new MemoryStream();
        state.Save(stream, OptionsOf(state));
        return stream.ToArray();
    }

    public static byte[] SaveSafetensors(
        BatchNormalizationState state, string prefix = "", TensorNaming naming = TensorNaming.PyTorch)
    {
        var stream = new MemoryStream();
        state.SaveSafetensors(stream, OptionsOf(state), prefix, naming);
        return stream.ToArray();
    }

    public static BatchNormalizationState Load(byte[] bytes) =>
        BatchNormalizationState.Load(new TrickleStream(bytes, int.MaxValue)).State;

    public static BatchNormalizationState LoadSafetensors(byte[] bytes, string prefix = "") =>
        BatchNormalizationState.LoadSafetensors(new TrickleStream(bytes, int.MaxValue), prefix).State;

    /// <summary>Asserts an InvalidDataException whose message is a sentence that has every fragment.</summary>
    public static void IsInvalid(Action load, params string[] fragments)
    {
        var error = Assert.ThrowsExactly<InvalidDataException>(load);
        IsSentence(error.Message);
        foreach (string fragment in fragments)
            StringAssert.Contains(error.Message, fragment);
    }

    /// <summary>Asserts that a message begins with a capital (or what it quotes) and ends with a full stop.</summary>
    public static void IsSentence(string message) =>
        StringAssert.Matches(message, new(@"\A[\p{Lu}\d'""].*\.\z", RegexOptions.Singleline));
}
