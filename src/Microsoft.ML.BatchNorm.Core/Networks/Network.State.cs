namespace Microsoft.ML.BatchNorm;

public sealed partial class Network
{
    /// <summary>A fresh state: every layer's initializer, the same for the same seed.</summary>
    /// <param name="seed">Seeds the random initializers; each layer draws numbers of its own.</param>
    public NetworkState Initialize(int seed = 0) => new(
        Nodes.Select((node, i) => (node.Path, State: Initialize(node, unchecked(seed * 397 ^ (i + 1)))))
            .Where(entry => entry.State is not null)
            .Select(entry => KeyValuePair.Create(entry.Path, entry.State!)));

    /// <summary>
    /// A state that takes over the layers of another that have the same path and shapes, and begins the others afresh:
    /// the first step of fine-tuning under a new head.
    /// </summary>
    /// <param name="from">The state to take over from.</param>
    /// <param name="seed">Seeds the layers that begin afresh.</param>
    public NetworkState Initialize(NetworkState from, int seed = 0)
    {
        ArgumentNullException.ThrowIfNull(from);
        NetworkState state = Initialize(seed);
        foreach (NetworkNode node in Nodes)
        {
            if (from.TryGet(node.Path) is { } known && Misfit(node, known) is null)
                state = state.With(node.Path, known);
        }
        return state;
    }

    /// <summary>Checks that a state has every layer of this network, with its shapes, and no other.</summary>
    /// <exception cref="ArgumentException">It does not; the message names every layer that differs.</exception>
    public void CheckState(NetworkState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        var faults = new List<string>();
        var known = new HashSet<string>(StringComparer.Ordinal);
        foreach (NetworkNode node in Nodes)
        {
            if (!HasState(node))
                continue;
            known.Add(node.Path);
            if (state.TryGet(node.Path) is not { } layer)
                faults.Add($"'{node.Path}' is missing");
            else if (Misfit(node, layer) is { } misfit)
                faults.Add($"'{node.Path}' {misfit}");
        }
        faults.AddRange(state.Paths.Where(path => !known.Contains(path)).Order(StringComparer.Ordinal)
            .Select(path => $"'{path}' is not a layer of the network with parameters"));
        if (faults.Count > 0)
            throw new ArgumentException($"The state does not fit the network: {string.Join("; ", faults)}.", nameof(state));
    }

    static bool HasState(NetworkNode node) =>
        node.Layer is BatchNormalizationLayer || node.Layer.Parameters(node.Input).Any();

    static LayerState? Initialize(NetworkNode node, int seed)
    {
        if (node.Layer is BatchNormalizationLayer layer)
            return new LayerState(BatchNorm.BatchNormalization.Initialize(layer.Options, layer.Channels(node.Input)));
        var random = new Random(seed);
        float[][] values = [.. node.Layer.Parameters(node.Input).Select(parameter =>
        {
            float[] tensor = new float[parameter.Shape.Size];
            parameter.Initializer.Fill(tensor, parameter.FanIn, parameter.FanOut, random);
            return tensor;
        })];
        return values.Length == 0 ? null : new LayerState(values[0], values.ElementAtOrDefault(1) ?? [], null);
    }

    /// <summary>How a layer's state does not fit, or null where it does.</summary>
    static string? Misfit(NetworkNode node, LayerState state)
    {
        if (node.Layer is BatchNormalizationLayer layer)
        {
            int channels = layer.Channels(node.Input);
            if (state.BatchNormalization is not { } normalization)
                return "has no batch normalization state";
            if (normalization.Channels != channels)
                return $"has {normalization.Channels} channels instead of {channels}";
            return Length("gamma", normalization.Gamma.Length, layer.Options.Scale ? channels : 0)
                ?? Length("beta", normalization.Beta.Length, layer.Options.Center ? channels : 0);
        }
        TensorShape[] shapes = [.. node.Layer.Parameters(node.Input).Select(parameter => parameter.Shape)];
        return Length("kernel", state.Kernel.Length, shapes[0].Size)
            ?? Length("bias", state.Bias.Length, shapes.Length > 1 ? shapes[1].Size : 0);
    }

    static string? Length(string name, int length, int expected) =>
        length == expected ? null : $"has {length} values of {name} instead of {expected}";
}
