using System.Text;

namespace Microsoft.ML.BatchNorm;

/// <summary>The tensors that a file must have, for one or more layers.</summary>
sealed class ExpectedTensors
{
    const int LongestPrefix = 80;

    readonly string what;
    readonly TensorNames? names;
    readonly List<LayerTensors> layers = [];
    readonly List<string> withoutName = [];
    readonly Dictionary<string, FileTensor> expected = new(StringComparer.Ordinal);

    /// <param name="what">What the file must fit, for messages: <c>network</c>.</param>
    public ExpectedTensors(string what) => this.what = what;

    /// <summary>The tensors of a network, under Keras's or PyTorch's names.</summary>
    public ExpectedTensors(Network network, TensorNaming naming, Func<string, string?> prefixOf)
        : this("network")
    {
        names = TensorNames.Of(naming);
        // For each node, the image whose flattened features it gives, or null. Keras orders these channels last. The
        // outputs of a kernel have the same order in Keras as here.
        var images = new List<TensorShape?>();
        foreach (NetworkNode node in network.Nodes)
        {
            TensorShape?[] read = [.. node.Inputs.Select(value => value < 0 ? null : images[value]).Distinct()];
            if (naming == TensorNaming.Keras && (read.Length > 1 || (node.Layer is ConcatLayer && read[0] is not null)))
                throw new ArgumentException(
                    $"Keras has the features of a flattened image in another order, in which layer '{node.Path}' "
                    + "cannot merge them with others: put the Flatten after it.", nameof(network));
            TensorShape? image = node.Layer is FlattenLayer && node.Input.Rank == 3 ? node.Input : read[0];
            if (Network.HasState(node))
            {
                if (prefixOf(node.Path) is { } prefix)
                    Add(new LayerTensors(
                        node.Tensors, Prefix(prefix, node.Path, names.Separator), names, node.Path, image,
                        () => node.Layer.Initialize(node.Input, new Random(0))!));
                else
                    withoutName.Add(node.Path);
            }
            images.Add(node.Tensors.Any(tensor => tensor.Role == TensorRole.Kernel) ? null : image);
        }

        static string Prefix(string prefix, string path, char separator) =>
            LayerTensors.CheckedPrefix(prefix, $" of layer '{path}'").Length == 0 ? "" : prefix + separator;
    }

    /// <summary>Adds the tensors of a layer.</summary>
    /// <exception cref="ArgumentException">Another layer has one of the same name.</exception>
    public LayerTensors Add(LayerTensors layer)
    {
        layers.Add(layer);
        foreach (FileTensor tensor in layer.Tensors)
            Add(tensor, layer.Path);
        return layer;
    }

    public void Add(FileTensor tensor, string path = "")
    {
        if (!tensor.IsInDefinition && !expected.TryAdd(tensor.Name, tensor))
            throw new ArgumentException(
                $"Two layers have a tensor {SafetensorsEntry.Quote(tensor.Name)}; one is '{path}'.");
    }

    public IReadOnlyList<LayerTensors> Layers => layers;

    /// <summary>The paths of the layers that have no name in the file.</summary>
    public IReadOnlyList<string> WithoutName => withoutName;

    public bool Needs(string name) => expected.ContainsKey(name);

    /// <summary>Compares all tensors of a file with those that are expected.</summary>
    /// <param name="header">The file's header.</param>
    /// <param name="allowMissing">
    /// Whether a layer may be missing, with all of its tensors. A file that has no layer at all is an error still.
    /// </param>
    /// <param name="unexpected">Whether other tensors in the file are an error.</param>
    /// <returns>The layers that the file has.</returns>
    /// <exception cref="InvalidDataException">The tensors differ; the message names those that do.</exception>
    public List<LayerTensors> Match(
        SafetensorsHeader header, bool allowMissing = false,
        UnexpectedTensors unexpected = UnexpectedTensors.Throw)
    {
        List<string> missing = [], misshapen = [];
        var there = new List<LayerTensors>();
        var absent = new HashSet<string>(StringComparer.Ordinal);
        allowMissing = allowMissing && layers.Exists(IsThere);
        foreach (LayerTensors layer in layers)
        {
            if (allowMissing && !IsThere(layer))
                absent.UnionWith(layer.Tensors.Select(tensor => tensor.Name));
            else
                there.Add(layer);
        }
        foreach (FileTensor tensor in expected.Values)
        {
            if (header[tensor.Name] is { } entry)
                misshapen.AddRange(tensor.Fault(entry) is { } fault ? [fault] : []);
            else if (tensor.IsRequired && !absent.Contains(tensor.Name))
                missing.Add($"{SafetensorsEntry.Quote(tensor.Name)} of shape {tensor.Shape}");
        }
        // Where a tensor is missing, it may be one of the others under another name.
        string[] others = unexpected == UnexpectedTensors.Throw || missing.Count > 0 ? Unexpected(header) : [];
        if (missing.Count + misshapen.Count == 0 && (others.Length == 0 || unexpected == UnexpectedTensors.Ignore))
            return there;
        string advice = missing.Count + misshapen.Count == 0 && names is not null
            ? " If the network needs none of them, give unexpected: UnexpectedTensors.Ignore."
            : Advice(header);
        throw new InvalidDataException(Message(missing, misshapen, others) + advice);

        bool IsThere(LayerTensors layer) => layer.Tensors.Any(tensor => header[tensor.Name] is not null);
    }

    /// <summary>The tensors of a file that are not expected, by their names there and in the order of these.</summary>
    public string[] Unexpected(SafetensorsHeader header) =>
    [
        .. header.Tensors.Where(tensor => !Needs(tensor.Name)).Select(tensor => tensor.NameInFile)
            .Order(StringComparer.Ordinal),
    ];

    /// <summary>
    /// A sentence that says why no name fits, most likely, and what to do; empty if nothing is known.
    /// </summary>
    string Advice(SafetensorsHeader header)
    {
        if (names is null || expected.Keys.Any(name => header[name] is not null))
            return "";
        string[] there = [.. header.Tensors.Select(tensor => tensor.Name)];
        TensorNaming other = names == TensorNames.Keras ? TensorNaming.PyTorch : TensorNaming.Keras;
        string[] endings = other == TensorNaming.Keras
            ? ["/kernel", "/gamma", "/moving_mean"]
            : [".weight", ".running_mean"];
        if (Array.Exists(there, name => Array.Exists(endings, end => name.EndsWith(end, StringComparison.Ordinal))))
            return $" The names are {TensorNames.Of(other).Family}'s: give naming: TensorNaming.{other}.";
        bool isTorch = names == TensorNames.PyTorch;
        if (isTorch && Array.Exists(there, IsOfSequential) && !expected.Keys.Any(IsOfSequential))
            return " The names are those of torch.nn.Sequential: give prefix: network.SequentialName.";
        if (CommonPrefix(header) is not { } prefix)
            return "";
        string path = isTorch && layers.Exists(layer => layer.Path.Contains('/')) ? "path.Replace('/', '.')" : "path";
        return $" The names begin with {SafetensorsEntry.Quote(prefix)}: give prefix: path => \"{prefix}\" + {path}.";
    }

    /// <summary>
    /// Whether a name begins with an index in an <c>nn.Sequential</c>: <c>0.weight</c>, <c>2.1.bias</c>.
    /// </summary>
    static bool IsOfSequential(string name) =>
        name.IndexOf('.') is > 0 and var end && name.AsSpan(0, end).IndexOfAnyExceptInRange('0', '9') < 0;

    /// <summary>The prefix that all expected names have in the file; null if there is none.</summary>
    string? CommonPrefix(SafetensorsHeader header)
    {
        string[] needed = [.. expected.Values.Where(tensor => tensor.IsRequired).Select(tensor => tensor.Name)];
        return header.Tensors.Select(tensor => tensor.Name)
            .Where(name => needed.Length > 0 && name.EndsWith(needed[0], StringComparison.Ordinal))
            .Select(name => name[..^needed[0].Length])
            .FirstOrDefault(prefix => prefix.Length <= LongestPrefix
                && Array.TrueForAll(needed, name => header[prefix + name] is not null));
    }

    string Message(List<string> missing, List<string> misshapen, string[] unexpected)
    {
        var text = new StringBuilder($"The file does not fit the {what}:");
        if (missing.Count > 0)
            text.Append(" missing: ").AppendJoin(", ", missing).Append(';');
        if (misshapen.Count > 0)
            text.Append(" misshapen: ").AppendJoin(", ", misshapen).Append(';');
        if (unexpected.Length > 0)
            text.Append(" unexpected: ").Append(Check.List(unexpected, name: SafetensorsEntry.Quote)).Append(';');
        text[^1] = '.';
        return text.ToString();
    }
}
