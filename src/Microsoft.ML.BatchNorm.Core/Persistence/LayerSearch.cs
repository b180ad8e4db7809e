using Tensors = Microsoft.ML.BatchNorm.BatchNormalizationTensors;

namespace Microsoft.ML.BatchNorm;

/// <summary>Finds a batch normalization in a safetensors file, and what its tensors tell of it.</summary>
static class LayerSearch
{
    const int Listed = 10;

    static readonly TensorNames[] families = [TensorNames.PyTorch, TensorNames.Keras];

    /// <summary>
    /// Whose names the layer under a prefix has, the options that they and its tensors imply, and its channels.
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
                + "which are meant cannot be told.");
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

    /// <summary>The options of a layer that has these tensors beside its moving statistics.</summary>
    public static BatchNormalizationOptions WithTensors(
        BatchNormalizationOptions options, bool gamma, bool beta, bool renorm) => options with
    {
        Scale = gamma,
        Center = beta,
        Renorm = renorm ? options.Renorm ?? new() : null,
        TrackMovingStatistics = true,
    };

    /// <summary>The channels of a layer, from the shape of its moving mean.</summary>
    public static int Channels(SafetensorsHeader header, string mean)
    {
        string name = SafetensorsEntry.Quote(mean);
        if (header[mean] is not { } tensor)
            throw new InvalidDataException($"The file has no tensor {name}.");
        return tensor.Shape.Rank == 1 && tensor.Shape.First > 0 && tensor.Shape.First <= Array.MaxLength
            ? (int)tensor.Shape.First
            : throw new InvalidDataException(
                $"Tensor {name}: shape is {tensor.Shape}; one dimension, of the channels, is expected.");
    }

    /// <summary>Where the file has batch normalizations, as a sentence.</summary>
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

    /// <summary>The prefix of the layer whose mean has this name, if it is one and the variance is there.</summary>
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

    static string First(string[] names) =>
        string.Join(", ", names.Take(Listed).Select(SafetensorsEntry.Quote))
        + (names.Length > Listed ? $" and {names.Length - Listed} more" : "");

    static string List(string[] names) =>
        string.Join(" and ", names.Select(SafetensorsEntry.Quote)) + (names.Length == 1 ? " is" : " are");
}

/// <summary>Which of a file's names is most like the one that was asked for.</summary>
static class NearestName
{
    // Names of a hostile file may be many and long; what a message says of them must not take long.
    const int MostNames = 10_000, MostCharacters = 64;

    /// <summary>The names by the number of characters to insert, leave out or replace, the fewest first.</summary>
    public static IEnumerable<string> Order(string name, IEnumerable<string> names)
    {
        string[] all = [.. names];
        return all.Length > MostNames
            ? all
            : all.OrderBy(other => Distance(Start(name), Start(other))).ThenBy(other => other, StringComparer.Ordinal);
    }

    static ReadOnlySpan<char> Start(string name) => name.AsSpan(0, Math.Min(name.Length, MostCharacters));

    /// <summary>Levenshtein's distance, one line of its table after the other.</summary>
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
