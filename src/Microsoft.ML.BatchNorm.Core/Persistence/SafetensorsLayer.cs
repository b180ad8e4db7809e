namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>The tensors of a safetensors file that make up one layer; dtypes and shapes are checked.</summary>
sealed class SafetensorsLayer
{
    const int Listed = 10;

    readonly Dictionary<string, SafetensorsEntry> tensors;

    SafetensorsLayer(StateNames names, Dictionary<string, SafetensorsEntry> tensors)
    {
        (Names, this.tensors) = (names, tensors);
        int renorm = names.Renorm.Count(tensors.ContainsKey);
        if (renorm is not (0 or 3))
            throw new InvalidDataException(
                "The file has renormalization in part: "
                + $"{List(names.Renorm.Where(name => !tensors.ContainsKey(name)))} missing.");
        HasRenorm = renorm == 3;
        Channels = CheckShapes();
    }

    public StateNames Names { get; }

    /// <summary>Whose names they are.</summary>
    public NetworkPreset Preset => Names.Batches is null ? NetworkPreset.Keras : NetworkPreset.PyTorch;

    public bool HasRenorm { get; }

    public int Channels { get; }

    public bool Needs(string name) => tensors.ContainsKey(name);

    public static SafetensorsLayer Find(SafetensorsHeader header, string prefix)
    {
        StateNames torch = StateNames.PyTorch.Under(prefix), keras = StateNames.Keras.Under(prefix);
        var torchTensors = Pick(header, torch);
        var kerasTensors = Pick(header, keras);
        string[] torchMissing = Missing(torch, torchTensors), kerasMissing = Missing(keras, kerasTensors);
        if (torchMissing.Length == 0 && kerasMissing.Length == 0)
            throw new InvalidDataException(
                $"The file has both PyTorch's and Keras's statistics under {SafetensorsEntry.Quote(prefix)}; "
                + "which are meant cannot be told.");
        if (torchMissing.Length == 0)
            return new SafetensorsLayer(torch, torchTensors);
        if (kerasMissing.Length == 0)
            return new SafetensorsLayer(keras, kerasTensors);
        throw new InvalidDataException(
            $"The file has no batch normalization under {SafetensorsEntry.Quote(prefix)}: of PyTorch's names "
            + $"{List(torchMissing)} missing, of Keras's {List(kerasMissing)} missing. {Others(header, prefix)}");
    }

    /// <summary>Where the file has batch normalizations, as a sentence.</summary>
    static string Others(SafetensorsHeader header, string prefix)
    {
        HashSet<string> names = [.. header.Tensors.Select(tensor => tensor.Name)];
        string[] prefixes = [.. NearestName.Order(
            prefix, names.SelectMany(name => Prefixes(name, names)).Distinct(StringComparer.Ordinal))];
        return prefixes.Length switch
        {
            0 => "It has none under any prefix. Its tensors: "
                + $"{First([.. header.Tensors.Select(tensor => tensor.Name)])}.",
            1 => $"It has one under {SafetensorsEntry.Quote(prefixes[0])}.",
            _ => $"It has {prefixes.Length}, under these prefixes, the nearest first: {First(prefixes)}.",
        };
    }

    /// <summary>The prefix of the layer whose mean has this name, if it is one and the variance is there.</summary>
    static IEnumerable<string> Prefixes(string name, HashSet<string> names)
    {
        foreach (StateNames family in (StateNames[])[StateNames.PyTorch, StateNames.Keras])
        {
            if (name.EndsWith(family.Mean, StringComparison.Ordinal)
                && name[..^family.Mean.Length] is var prefix && names.Contains(prefix + family.Variance))
                yield return prefix;
        }
    }

    static string First(string[] names) =>
        string.Join(", ", names.Take(Listed).Select(SafetensorsEntry.Quote))
        + (names.Length > Listed ? $" and {names.Length - Listed} more" : "");

    static Dictionary<string, SafetensorsEntry> Pick(SafetensorsHeader header, StateNames names)
    {
        HashSet<string?> wanted = [names.Gamma, names.Beta, names.Mean, names.Variance, names.Batches, .. names.Renorm];
        return header.Tensors.Where(tensor => wanted.Contains(tensor.Name)).ToDictionary(tensor => tensor.Name);
    }

    static string[] Missing(StateNames names, Dictionary<string, SafetensorsEntry> tensors) =>
        [.. new[] { names.Mean, names.Variance }.Where(name => !tensors.ContainsKey(name))];

    static string List(IEnumerable<string> names)
    {
        string[] all = [.. names.Select(SafetensorsEntry.Quote)];
        return string.Join(" and ", all) + (all.Length == 1 ? " is" : " are");
    }

    int CheckShapes()
    {
        SafetensorsEntry mean = tensors[Names.Mean];
        foreach (SafetensorsEntry tensor in tensors.Values)
        {
            string quoted = SafetensorsEntry.Quote(tensor.Name);
            if (tensor.Name == Names.Batches)
            {
                if (!tensor.IsNumber)
                    throw new InvalidDataException(
                        $"Tensor {quoted}: dtype is {SafetensorsEntry.Quote(tensor.Dtype)}; F64 to BF16, I64 to I8 "
                        + "and U64 to U8 can be read.");
                if (tensor.Shape.Rank > 1 || tensor.Shape.Rank == 1 && tensor.Shape.First != 1)
                    throw new InvalidDataException($"Tensor {quoted}: shape is {tensor.Shape}, not [].");
                continue;
            }
            if (!tensor.IsFloat)
                throw new InvalidDataException(
                    $"Tensor {quoted}: dtype is {SafetensorsEntry.Quote(tensor.Dtype)}; F64, F32, F16 and BF16 can be "
                    + "read.");
            if (tensor.Shape.Rank != 1 || tensor.Shape.First is 0 || tensor.Shape.First > Array.MaxLength)
                throw new InvalidDataException(
                    $"Tensor {quoted}: shape is {tensor.Shape}; one dimension, of the channels, is expected.");
            if (tensor.Shape.First != mean.Shape.First)
                throw new InvalidDataException(
                    $"Tensor {quoted}: shape is {tensor.Shape}, that of {SafetensorsEntry.Quote(mean.Name)} is "
                    + $"{mean.Shape}.");
        }
        return (int)mean.Shape.First;
    }
}
