using System.Diagnostics.Contracts;
using System.Globalization;
using System.Text;

namespace Microsoft.ML.BatchNorm;

public sealed partial class Network
{
    /// <summary>
    /// A new state, in which every layer has the values of its initializers. The same seed gives the same values.
    /// </summary>
    /// <param name="seed">
    /// The seed of the random initializers. A layer's values depend only on the seed, its path and its shapes, not on
    /// the layers around it. The initializers of a batch normalization have seeds of their own.
    /// </param>
    public NetworkState Initialize(int seed = 0) => new(
        Nodes.Select(node => (node.Path, State: node.Layer.Initialize(node.Input, new Random(SeedOf(node.Path, seed)))))
            .Where(entry => entry.State is not null)
            .Select(entry => KeyValuePair.Create(entry.Path, entry.State!)));

    /// <summary>
    /// A new state that takes over the layers of another state that have the same path and shapes, and initializes all
    /// other layers: the first step of fine-tuning with a new head.
    /// </summary>
    /// <param name="from">The state to take over from.</param>
    /// <param name="seed">The seed of the layers that are initialized.</param>
    [Pure]
    public NetworkState Initialize(NetworkState from, int seed = 0) => Initialize(from, seed, out _);

    /// <inheritdoc cref="Initialize(NetworkState, int)"/>
    /// <param name="from">The state to take over from.</param>
    /// <param name="seed">The seed of the layers that are initialized.</param>
    /// <param name="takenOver">The paths of the layers that were taken over, in the order of the nodes.</param>
    public NetworkState Initialize(NetworkState from, int seed, out IReadOnlyList<string> takenOver)
    {
        ArgumentNullException.ThrowIfNull(from);
        string[] paths = [.. Nodes.Where(Fits).Select(node => node.Path)];
        takenOver = paths;
        return paths.Aggregate(Initialize(seed), (state, path) => state.With(path, from[path]));

        bool Fits(NetworkNode node) => from.TryGet(node.Path) is { } known && Misfit(node, known) is null;
    }

    /// <summary>
    /// Checks that a state has every layer of this network, with the same shapes, and no other layer.
    /// </summary>
    /// <param name="state">The state.</param>
    /// <exception cref="ArgumentException">
    /// The state does not fit; the message names every layer that differs.
    /// </exception>
    public void CheckState(NetworkState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        var faults = new List<string>();
        var known = new HashSet<string>(StringComparer.Ordinal);
        foreach (NetworkNode node in Nodes)
        {
            if (node.Tensors.Any())
                known.Add(node.Path);
            if (known.Contains(node.Path) && state.TryGet(node.Path) is { } layer)
                faults.AddRange(Misfit(node, layer) is { } misfit ? [$"'{node.Path}' {misfit}"] : []);
            else if (HasState(node))
                faults.Add($"'{node.Path}' is missing");
        }
        string[] others = [.. state.Paths.Where(path => !known.Contains(path)).Order(StringComparer.Ordinal)];
        faults.AddRange(others.Select(path => $"'{path}' is not a layer of the network with parameters"));
        if (faults.Count == 0)
            return;
        string way = faults.Count == others.Length ? " NetworkState.For leaves such layers out." : "";
        throw new ArgumentException(
            $"The state does not fit the network: {string.Join("; ", faults)}.{way}", nameof(state));
    }

    /// <summary>Whether a layer must have a state. A TorchScript layer has one only after it was trained.</summary>
    internal static bool HasState(NetworkNode node) => node.Tensors.Any(tensor => !tensor.IsOptional);

    static int SeedOf(string path, int seed)
    {
        // FNV-1a over the path. It is mixed since Random gives similar first numbers for similar seeds.
        ulong hash = 0xCBF29CE484222325 ^ (uint)seed;
        foreach (char character in path)
            hash = unchecked((hash ^ character) * 0x100000001B3);
        return (int)(RandomNumbers.Mix(hash) & int.MaxValue);
    }

    /// <summary>
    /// Describes the first layer whose state does not fit or has a value out of range; null if there is none.
    /// </summary>
    internal string? Fault(NetworkState state)
    {
        foreach (NetworkNode node in Nodes)
        {
            if (state.TryGet(node.Path) is not { } layer)
                continue;
            if (Misfit(node, layer) is { } misfit)
                return $"Layer '{node.Path}' {misfit}.";
            string? fault = layer.BatchNormalization is { } normalization
                ? BatchNormalizationTensors.FaultOf(normalization, name => name)
                : layer.Names.Select(name => layer.TryGet(name, out ReadOnlySpan<float> values)
                    ? LayerState.Fault(values, name)
                    : null).FirstOrDefault(fault => fault is not null);
            if (fault is not null)
                return $"Layer '{node.Path}': {fault}";
        }
        return null;
    }

    /// <summary>Describes how a layer's state does not fit the layer; null if it fits.</summary>
    internal static string? Misfit(NetworkNode node, LayerState state)
    {
        TensorSpec[] needed = [.. node.Tensors.Where(tensor => !tensor.IsOptional)];
        HashSet<string> names = [.. node.Tensors.Select(tensor => tensor.Name)];
        if (names.Count == 0)
            return "has a state; the layer has no parameters";
        if (!state.Names.Any(names.Contains))
            return $"has {string.Join(", ", state.Names)}; a {node.Layer.Kind} has "
                + $"{string.Join(", ", needed.Length > 0 ? needed.Select(tensor => tensor.Name) : names)}";
        foreach (TensorSpec tensor in node.Tensors)
        {
            int length = state.LengthOf(tensor.Name);
            if (length == 0 && tensor.IsOptional)
                continue;
            if (tensor.Shape is { } shape && length != shape.Size)
                return $"has {length} values of {tensor.Name} instead of {shape.Size}";
            if (!state.Has(tensor.Name, tensor.Type))
                return $"has values of another type than {tensor.Type} in {tensor.Name}";
        }
        return state.Names.FirstOrDefault(name => !names.Contains(name)) is { } unknown
            ? $"has {state.LengthOf(unknown)} values of {unknown} instead of 0"
            : null;
    }

    /// <summary>
    /// A table as <c>keras.Model.summary(show_trainable=True)</c> prints it: each layer's path and kind, its output
    /// shape, its number of parameters (with a batch normalization's moving statistics), and which of them training
    /// changes; the totals follow. A network that branches has one more column: what each layer reads.
    /// </summary>
    public string Summary()
    {
        bool branches = nodes.Where((node, i) => !node.Inputs.SequenceEqual([i - 1])).Any();
        string[] titles = ["Layer (type)", "Output Shape", "Param #", "Trainable", .. Branch("Connected to")];
        string[][] rows = [.. Nodes.Select(string[] (node) =>
        [
            $"{node.Path} ({node.Layer.Kind})",
            $"(None, {node.Output.ToString()[1..^1]})",
            Number(node.ParameterCount),
            node.ParameterCount == 0 ? "-" : Switches(node),
            .. Branch(string.Join(", ", node.Inputs.Select(i => i < 0 ? "-" : Nodes[i].Path))),
        ])];
        int[] widths = [.. titles.Select((title, i) => rows.Select(row => row[i].Length).Append(title.Length).Max())];

        var text = new StringBuilder();
        Line(text, titles, widths);
        text.AppendJoin("  ", widths.Select(width => new string('-', width))).AppendLine();
        foreach (string[] row in rows)
            Line(text, row, widths);
        long total = Nodes.Sum(node => node.ParameterCount), trainable = Nodes.Sum(node => node.TrainableCount);
        text.AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"Total params: {Number(total)}");
        text.AppendLine(CultureInfo.InvariantCulture, $"Trainable params: {Number(trainable)}");
        text.AppendLine(CultureInfo.InvariantCulture, $"Non-trainable params: {Number(total - trainable)}");
        return text.ToString();

        string[] Branch(string cell) => branches ? [cell] : [];
    }

    /// <summary>Returns <see cref="Summary"/>.</summary>
    public override string ToString() => Summary();

    /// <summary>Says which parameters of a layer training changes, for the summary.</summary>
    internal static string Switches(NetworkNode node)
    {
        TensorSpec[] parameters = [.. node.Tensors.Where(tensor => tensor.Role != TensorRole.Other)],
            trained = [.. parameters.Where(tensor => tensor.IsTrained)];
        if (!node.IsTrainable)
            return "no";
        return trained.Length == parameters.Length
            ? "yes"
            : string.Join(", ", trained.Select(tensor => tensor.IsLearned ? tensor.Name : "statistics").Distinct());
    }

    static string Number(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    static void Line(StringBuilder text, string[] cells, int[] widths)
    {
        for (int i = 0; i < cells.Length; i++)
        {
            string cell = i == 2 ? cells[i].PadLeft(widths[i]) : cells[i].PadRight(widths[i]);
            text.Append(i == 0 ? "" : "  ").Append(i == cells.Length - 1 ? cell.TrimEnd() : cell);
        }
        text.AppendLine();
    }
}
