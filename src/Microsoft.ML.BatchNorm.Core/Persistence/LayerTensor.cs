using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.Persistence;

enum ElementType
{
    Float,
    Double,
    Count,
    Byte,
}

/// <summary>A tensor that a layer's state has.</summary>
/// <param name="Name">Its name in the layer.</param>
/// <param name="Shape">Its shape; empty for a number by itself.</param>
/// <param name="Element">The type of its values.</param>
/// <param name="IsRequired">Whether every state of the layer has it.</param>
sealed record LayerTensor(string Name, int[] Shape, ElementType Element = ElementType.Float, bool IsRequired = true)
{
    public const string Kernel = "kernel", Bias = "bias", Gamma = "gamma", Beta = "beta", MovingMean = "movingMean",
        MovingVariance = "movingVariance", BatchesSeen = "batchesSeen", InitialWeight = "initialWeight",
        Module = "module", Trained = "trained";

    /// <summary>The size of the one dimension that each state decides for itself.</summary>
    public const int AnyLength = -1;

    public static string[] Renorm { get; } =
        ["renorm.movingStandardDeviation", "renorm.mean", "renorm.standardDeviation"];

    public static string[] Population { get; } =
        ["population.count", "population.m2", "population.meanRest", "population.m2Rest"];

    public static IEnumerable<LayerTensor> Of(NetworkNode node) => node.Layer is TorchScriptLayer
        ? [new(Trained, [AnyLength], ElementType.Byte, IsRequired: false)]
        : node.Layer.Parameters(node.Input)
            .Select(parameter => new LayerTensor(parameter.Name, parameter.Shape.Dimensions.ToArray()));

    public static IEnumerable<LayerTensor> Of(BatchNormalizationOptions options, int channels)
    {
        yield return new(MovingMean, [channels], ElementType.Double);
        yield return new(MovingVariance, [channels], ElementType.Double);
        foreach (string name in Renorm)
            yield return new(name, [channels], ElementType.Double, options.Renorm is not null);
        foreach (string name in Population)
            yield return new(name, [channels], ElementType.Double, IsRequired: false);
        yield return new(BatchesSeen, [], ElementType.Count);
        yield return new(InitialWeight, [], ElementType.Double);
        if (options.Scale)
            yield return new(Gamma, [channels]);
        if (options.Center)
            yield return new(Beta, [channels]);
    }

    public static Dictionary<string, Array> ValuesOf(LayerState state)
    {
        var values = new Dictionary<string, Array>();
        if (!state.TorchScript.IsEmpty)
            values.Add(Trained, ImmutableCollectionsMarshal.AsArray(state.TorchScript)!);
        Add<float>(Kernel, state.Kernel);
        Add<float>(Bias, state.Bias);
        if (state.BatchNormalization is not { } normalization)
            return values;
        Add(MovingMean, normalization.MovingMean);
        Add(MovingVariance, normalization.MovingVariance);
        if (normalization.Renorm is { } renorm)
        {
            Add(Renorm[0], renorm.MovingStandardDeviation);
            Add(Renorm[1], renorm.Mean);
            Add(Renorm[2], renorm.StandardDeviation);
        }
        if (normalization.Population is { } population)
        {
            Add(Population[0], population.Count);
            Add(Population[1], population.M2);
            Add(Population[2], population.MeanRest);
            Add(Population[3], population.M2Rest);
        }
        Add(BatchesSeen, [normalization.BatchesSeen]);
        Add(InitialWeight, [normalization.InitialWeight]);
        Add(Gamma, normalization.Gamma);
        Add(Beta, normalization.Beta);
        return values;

        void Add<T>(string name, ReadOnlySpan<T> array)
        {
            if (!array.IsEmpty)
                values.Add(name, array.ToArray());
        }
    }

    public static LayerState? StateOf(Dictionary<string, Array> values) =>
        values.TryGetValue(Kernel, out Array? kernel)
            ? new LayerState((float[])kernel, (float[]?)values.GetValueOrDefault(Bias) ?? [], null)
            : values.TryGetValue(Trained, out Array? module)
                ? LayerState.OfTorchScript(ImmutableCollectionsMarshal.AsImmutableArray((byte[])module))
                : null;

    /// <param name="options">The options.</param>
    /// <param name="channels">The number of channels.</param>
    /// <param name="values">The values by name; those that are missing are as in a fresh state.</param>
    /// <param name="nameOf">What a tensor is called in messages.</param>
    public static BatchNormalizationState StateOf(
        BatchNormalizationOptions options, int channels, Dictionary<string, Array> values, Func<string, string> nameOf)
    {
        BatchNormalizationState? fresh = values.ContainsKey(MovingMean)
            ? null
            : BatchNormalization.Initialize(options, channels);
        double[] mean = fresh?.MovingMean.ToArray() ?? Doubles(MovingMean)!;
        double[] variance = fresh?.MovingVariance.ToArray() ?? Doubles(MovingVariance)!;
        var state = new BatchNormalizationState(
            mean, variance, Floats(Gamma), Floats(Beta),
            values.TryGetValue(BatchesSeen, out Array? batches) ? ((long[])batches)[0] : 0,
            Doubles(InitialWeight)?[0] ?? fresh?.InitialWeight ?? 0,
            All(Renorm) is [{ } deviation, { } average, { } averageDeviation]
                ? RenormStatistics.Of(deviation, average, averageDeviation)
                : null,
            All(Population) is [{ } count, { } m2, { } meanRest, { } m2Rest]
                ? new PopulationMoments(count, m2, meanRest, m2Rest)
                : null);
        if (StateFault.Of(state, nameOf) is { } fault)
            throw new InvalidDataException(fault);
        return options.Renorm is null || state.Renorm is not null
            ? state
            : new BatchNormalizationState(
                mean, variance, state.GammaArray, state.BetaArray, state.BatchesSeen, state.InitialWeight,
                Renormalization.Initialize(mean, variance), state.Population);

        float[] Floats(string name) => (float[]?)values.GetValueOrDefault(name) ?? [];

        double[]? Doubles(string name) => (double[]?)values.GetValueOrDefault(name);

        double[]?[] All(string[] names)
        {
            string[] missing = [.. names.Where(name => !values.ContainsKey(name)).Select(nameOf)];
            return missing.Length == 0 || missing.Length == names.Length
                ? Array.ConvertAll(names, Doubles)
                : throw new InvalidDataException(
                    $"The file has part of what belongs together: {string.Join(" and ", missing.Select(SafetensorsEntry.Quote))} "
                    + $"{(missing.Length == 1 ? "is" : "are")} missing.");
        }
    }
}
