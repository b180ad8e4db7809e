using Tensors = Microsoft.ML.BatchNorm.BatchNormalizationTensors;

namespace Microsoft.ML.BatchNorm;

/// <summary>Finds a batch normalization in a safetensors file, and what its tensors say about it.</summary>
static class LayerSearch
{
    const int Listed = 10;

    static readonly TensorNames[] families = [TensorNames.PyTorch, TensorNames.Keras];

    /// <summary>
    /// Finds the layer under a prefix: whose names it has, the options that names and tensors imply, and the number of
    /// channels.
    /// </summary>
    public static (TensorNames Names, BatchNormalizationOptions Options, int Channels) Find(
        SafetensorsHeader header, string prefix)
    {
        string[][] missing = Array.ConvertAll(families, names => (string[])[..
            new[] { Tensors.Mean, Tensors.Variance }
                .Select(tensor => prefix + names[tensor]).Where(name => header[name] is null)]);
        if (missing[0].Length == 0 && missing[1].Length == 0)
            throw new InvalidDataException(
                $"The file has both PyTorch's and Keras's statistics under {SafetensorsEntry.Quote(prefix)}; "
                + "it is not clear which to read.");
        int family = Array.FindIndex(missing, names => names.Length == 0);
        if (family < 0)
            throw new InvalidDataException(
                $"The file has no batch normalization under {SafetensorsEntry.Quote(prefix)}: of PyTorch's names "
                + $"{List(missing[0])} missing, of Keras's {List(missing[1])} missing. {Others(header, prefix)}");
        TensorNames found = families[family];
        return (
            found,
            WithTensors(
                Network.OptionsOf(found == TensorNames.Keras ? NetworkPreset.Keras : NetworkPreset.PyTorch),
                Has(Tensors.Gamma), Has(Tensors.Beta), Tensors.Renorm.Any(Has)),
            Channels(header, prefix + found[Tensors.Mean]));

        bool Has(string tensor) => found[tensor] is { } name && header[prefix + name] is not null;
    }

    /// <summary>The options of a layer that has these tensors besides its moving statistics.</summary>
    public static BatchNormalizationOptions WithTensors(
        BatchNormalizationOptions options, bool gamma, bool beta, bool renorm) => options with
    {
        Scale = gamma,
        Center = beta,
        Renorm = renorm ? options.Renorm ?? new() : null,
        TrackMovingStatistics = true,
    };

    /// <summary>The number of channels of a layer, by the shape of its moving mean.</summary>
    public static int Channels(SafetensorsHeader header, string mean)
    {
        string name = SafetensorsEntry.Quote(mean);
        if (header[mean] is not { } tensor)
            throw new InvalidDataException($"The file has no tensor {name}.");
        return tensor.Shape.Rank == 1 && tensor.Shape.First > 0 && tensor.Shape.First <= Array.MaxLength
            ? (int)tensor.Shape.First
            : throw new InvalidDataException(
                $"Tensor {name}: shape is {tensor.Shape}; it must have one dimension, the channels.");
    }

    /// <summary>A sentence that says where the file has batch normalizations.</summary>
    static string Others(SafetensorsHeader header, string prefix)
    {
        string[] names = [.. header.Tensors.Select(tensor => tensor.Name)];
        string[] prefixes = [.. NearestName.Order(
            prefix, names.SelectMany(name => Prefixes(name, header)).Distinct(StringComparer.Ordinal))];
        return prefixes.Length switch
        {
            0 => $"It has none under any prefix. Its tensors: {First(names)}.",
            1 => $"It has one under {SafetensorsEntry.Quote(prefixes[0])}.",
            _ => $"It has {prefixes.Length}, under these prefixes, the nearest first: {First(prefixes)}.",
        };
    }

    /// <summary>
    /// The prefix of the layer whose moving mean has this name, if the file has its variance too; nothing for other
    /// names.
    /// </summary>
    static IEnumerable<string> Prefixes(string name, SafetensorsHeader header)
    {
        foreach (TensorNames family in families)
        {
            string mean = family[Tensors.Mean]!;
            if (name.EndsWith(mean, StringComparison.Ordinal)
                && name[..^mean.Length] is var prefix
                && header[prefix + family[Tensors.Variance]] is not null)
                yield return prefix;
        }
    }

    static string First(string[] names) => Check.List(names, Listed, SafetensorsEntry.Quote);

    static string List(string[] names) =>
        string.Join(" and ", names.Select(SafetensorsEntry.Quote)) + (names.Length == 1 ? " is" : " are");
}

/// <summary>Orders the names of a file by how close they are to one that was asked for.</summary>
static class NearestName
{
    // A hostile file may have many long names, and its error message must not take long.
    const int MostNames = 10_000, MostCharacters = 64;

    /// <summary>
    /// The names by their edit distance, the nearest first; in their own order if there are very many.
    /// </summary>
    public static IEnumerable<string> Order(string name, IEnumerable<string> names)
    {
        string[] all = [.. names];
        return all.Length > MostNames
            ? all
            : all.OrderBy(other => Distance(Start(name), Start(other))).ThenBy(other => other, StringComparer.Ordinal);
    }

    static ReadOnlySpan<char> Start(string name) => name.AsSpan(0, Math.Min(name.Length, MostCharacters));

    /// <summary>The Levenshtein distance, computed with one line of its table.</summary>
    static int Distance(ReadOnlySpan<char> from, ReadOnlySpan<char> to)
    {
        Span<int> line = stackalloc int[MostCharacters + 1];
        for (int j = 0; j <= to.Length; j++)
            line[j] = j;
        for (int i = 1; i <= from.Length; i++)
        {
            int diagonal = line[0];
            line[0] = i;
            for (int j = 1; j <= to.Length; j++)
            {
                int replaced = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
                diagonal = line[j];
                line[j] = Math.Min(replaced, 1 + Math.Min(line[j], line[j - 1]));
            }
        }
        return line[to.Length];
    }
}
