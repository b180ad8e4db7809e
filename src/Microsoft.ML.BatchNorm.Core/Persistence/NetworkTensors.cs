using System.Text;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>The tensors of a network's layers in a file.</summary>
sealed class NetworkTensors
{
    // What a file has too much may be as long as its header; a message is not.
    const int Listed = 100, LongestPrefix = 80;

    readonly TensorNaming naming;
    readonly List<LayerTensors> layers = [];
    readonly List<string> withoutName = [];
    readonly Dictionary<string, ExpectedTensor> expected = new(StringComparer.Ordinal);

    public NetworkTensors(Network network, TensorNaming naming, Func<string, string?> prefixOf)
    {
        this.naming = naming;
        char separator = naming == TensorNaming.Keras ? '/' : '.';
        // Keras counts the features of a flattened image channels last, until a dense layer makes others of them.
        var images = new List<TensorShape?>();
        foreach (NetworkNode node in network.Nodes)
        {
            TensorShape?[] read = [.. node.Inputs.Select(value => value < 0 ? null : images[value]).Distinct()];
            if (naming == TensorNaming.Keras && (read.Length > 1 || (node.Layer is ConcatLayer && read[0] is not null)))
                throw new ArgumentException(
                    $"Keras has the features of a flattened image in another order, in which layer '{node.Path}' cannot "
                    + "merge them with others: put the Flatten behind it.", nameof(network));
            TensorShape? image = node.Layer is FlattenLayer && node.Input.Rank == 3 ? node.Input : read[0];
            if (Network.HasState(node))
                Add(node, prefixOf(node.Path), separator, naming, image);
            images.Add(node.Layer is DenseLayer ? null : image);
        }
    }

    public IReadOnlyList<LayerTensors> Layers => layers;

    /// <summary>The paths of the layers that the file does not have.</summary>
    public IReadOnlyList<string> WithoutName => withoutName;

    public bool Needs(string name) => expected.ContainsKey(name);

    /// <summary>Compares the file's tensors with those expected, all at once.</summary>
    /// <param name="header">The file's header.</param>
    /// <param name="allowMissing">Whether a layer may be missing, with all of its tensors.</param>
    /// <returns>The layers that are there.</returns>
    /// <exception cref="InvalidDataException">They differ; the message names every tensor.</exception>
    public List<LayerTensors> Match(SafetensorsHeader header, bool allowMissing)
    {
        var entries = header.Tensors.Where(tensor => Needs(tensor.Name))
            .ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        List<string> missing = [], misshapen = [];
        var there = new List<LayerTensors>();
        foreach (LayerTensors layer in layers)
        {
            ExpectedTensor[] tensors = [.. layer.Expected];
            if (allowMissing && !Array.Exists(tensors, tensor => entries.ContainsKey(tensor.Name)))
                continue;
            there.Add(layer);
            foreach (ExpectedTensor tensor in tensors)
            {
                if (entries.TryGetValue(tensor.Name, out SafetensorsEntry entry))
                    misshapen.AddRange(tensor.Fault(entry) is { } fault ? [fault] : []);
                else if (!tensor.IsCount)
                    missing.Add($"{SafetensorsEntry.Quote(tensor.Name)} of shape {tensor.Shape}");
            }
        }
        string[] unexpected = [.. header.Tensors.Where(tensor => !Needs(tensor.Name))
            .Select(tensor => tensor.Name).Order(StringComparer.Ordinal)];
        if (missing.Count + misshapen.Count + unexpected.Length > 0)
            throw new InvalidDataException(
                Message(missing, misshapen, unexpected) + Advice(header));
        return there;
    }

    /// <summary>What most likely leads to names that differ, as a sentence behind others; or nothing.</summary>
    string Advice(SafetensorsHeader header)
    {
        var names = header.Tensors.Select(tensor => tensor.Name).ToHashSet(StringComparer.Ordinal);
        if (expected.Keys.Any(names.Contains))
            return "";
        TensorNaming other = naming == TensorNaming.Keras ? TensorNaming.PyTorch : TensorNaming.Keras;
        string[] endings = other == TensorNaming.Keras
            ? ["/kernel", "/gamma", "/moving_mean"]
            : [".weight", ".running_mean"];
        if (names.Any(name => Array.Exists(endings, end => name.EndsWith(end, StringComparison.Ordinal))))
            return $" The names are {StateNames.Of(other).Family}'s: give naming: TensorNaming.{other}.";
        if (naming == TensorNaming.PyTorch && names.Any(IsOfSequential) && !expected.Keys.Any(IsOfSequential))
            return " The names are those of torch.nn.Sequential: give prefix: network.SequentialName.";
        if (CommonPrefix(names) is not { } prefix)
            return "";
        string path = naming == TensorNaming.PyTorch && layers.Exists(layer => layer.Node.Path.Contains('/'))
            ? "path.Replace('/', '.')"
            : "path";
        return $" The names begin with {SafetensorsEntry.Quote(prefix)}: give prefix: path => \"{prefix}\" + {path}.";
    }

    /// <summary>Whether a name begins with a place in a Sequential: <c>0.weight</c>, <c>2.1.bias</c>.</summary>
    static bool IsOfSequential(string name) =>
        name.IndexOf('.') is > 0 and var end && name.AsSpan(0, end).IndexOfAnyExceptInRange('0', '9') < 0;

    /// <summary>What the file has before each name that is expected; null where there is no such thing.</summary>
    string? CommonPrefix(HashSet<string> names)
    {
        string[] needed = [.. expected.Values.Where(tensor => !tensor.IsCount).Select(tensor => tensor.Name)];
        return names.Where(name => needed.Length > 0 && name.EndsWith(needed[0], StringComparison.Ordinal))
            .Select(name => name[..^needed[0].Length])
            .FirstOrDefault(prefix => prefix.Length <= LongestPrefix
                && Array.TrueForAll(needed, name => names.Contains(prefix + name)));
    }

    static string Message(List<string> missing, List<string> misshapen, string[] unexpected)
    {
        var text = new StringBuilder("The file does not fit the network:");
        if (missing.Count > 0)
            text.Append(" missing: ").AppendJoin(", ", missing).Append(';');
        if (misshapen.Count > 0)
            text.Append(" misshapen: ").AppendJoin(", ", misshapen).Append(';');
        if (unexpected.Length > 0)
            text.Append(" unexpected: ").AppendJoin(", ", unexpected.Take(Listed).Select(SafetensorsEntry.Quote))
                .Append(unexpected.Length > Listed ? $" and {unexpected.Length - Listed} more;" : ";");
        text[^1] = '.';
        return text.ToString();
    }

    void Add(NetworkNode node, string? prefix, char separator, TensorNaming naming, TensorShape? image)
    {
        if (prefix is null)
        {
            withoutName.Add(node.Path);
            return;
        }
        if (Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(prefix)) != prefix)
            throw new ArgumentException(
                $"The prefix of layer '{node.Path}' has half a surrogate pair.", nameof(prefix));
        LayerTensors layer = LayerTensors.Of(node, prefix.Length == 0 ? "" : prefix + separator, naming, image);
        layers.Add(layer);
        foreach (ExpectedTensor tensor in layer.Expected)
        {
            if (!expected.TryAdd(tensor.Name, tensor))
                throw new ArgumentException(
                    $"Two layers have a tensor {SafetensorsEntry.Quote(tensor.Name)}; one is '{node.Path}'.",
                    nameof(prefix));
        }
    }
}
