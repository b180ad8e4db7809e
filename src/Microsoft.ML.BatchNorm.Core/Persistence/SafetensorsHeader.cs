using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A safetensors header that has been checked. Its tensors are in the order of their data, which has no gaps.
/// </summary>
sealed class SafetensorsHeader
{
    public const int MaxLength = 100_000_000;
    public const string Version = "1", NoChecksum = "00000000";

    public const string Metadata = "__metadata__";
    public const string VersionKey = "batchnorm.version", ChecksumKey = "batchnorm.crc32c";
    public const string KindKey = "batchnorm.kind", DefinitionKey = "batchnorm.definition";

    // The indices of the tensors in the list, in the order of their names.
    readonly int[] byName;

    SafetensorsHeader(List<SafetensorsEntry> tensors, string? kind, string? definition, string? checksum)
    {
        (Tensors, Kind, Definition, Checksum) = (tensors, kind, definition, checksum);
        byName = [.. Enumerable.Range(0, Tensors.Count)];
        Array.Sort(byName, (left, right) => string.CompareOrdinal(Tensors[left].Name, Tensors[right].Name));
    }

    public List<SafetensorsEntry> Tensors { get; }

    /// <summary>The tensor of a name, or null if there is none.</summary>
    public SafetensorsEntry? this[string name]
    {
        get
        {
            int first = 0, end = byName.Length;
            while (first < end)
            {
                int middle = (first + end) / 2, order = string.CompareOrdinal(name, Tensors[byName[middle]].Name);
                if (order == 0)
                    return Tensors[byName[middle]];
                (first, end) = order < 0 ? (first, middle) : (middle + 1, end);
            }
            return null;
        }
    }

    /// <summary>
    /// The kind of the file, one of <see cref="FileKind"/>; null in a file that another program wrote.
    /// </summary>
    public string? Kind { get; }

    /// <summary>The definition as JSON; null if the kind is null.</summary>
    public string? Definition { get; }

    /// <summary>
    /// The checksum that the file states, in hexadecimal; null in a file that another program wrote or changed.
    /// </summary>
    public string? Checksum { get; }

    /// <summary>
    /// Parses the JSON of a header, and replaces the digits of the checksum in it by zeros, with which the checksum is
    /// computed.
    /// </summary>
    public static SafetensorsHeader Parse(Span<byte> json)
    {
        var parsed = SafetensorsJson.Parse(json);
        CheckNames(parsed.Tensors);
        CheckOffsets(parsed.Tensors);
        TakeOffNumbers(parsed.Tensors);
        if (parsed.ChecksumDigits is { } digits)
            json.Slice(digits, NoChecksum.Length).Fill((byte)'0');
        return new SafetensorsHeader(parsed.Tensors, parsed.Kind, parsed.Definition, parsed.Checksum);
    }

    /// <summary>This header with other names of its tensors.</summary>
    /// <exception cref="ArgumentException">The function gave null.</exception>
    /// <exception cref="InvalidDataException">Two tensors get the same name.</exception>
    public SafetensorsHeader Renamed(Func<string, string> rename)
    {
        List<SafetensorsEntry> renamed = Tensors.ConvertAll(tensor => tensor with
        {
            Name = rename(tensor.Name) ?? throw new ArgumentException(
                $"The function gave null for {SafetensorsEntry.Quote(tensor.Name)}.", nameof(rename)),
        });
        return new SafetensorsHeader(renamed, Kind, Definition, Checksum).WithDistinctNames();
    }

    /// <summary>The headers of several files as one, without a definition.</summary>
    /// <exception cref="InvalidDataException">Two tensors have the same name.</exception>
    public static SafetensorsHeader Of(IEnumerable<SafetensorsHeader> headers) =>
        new SafetensorsHeader([.. headers.SelectMany(header => header.Tensors)], null, null, null).WithDistinctNames();

    SafetensorsHeader WithDistinctNames()
    {
        for (int i = 1; i < byName.Length; i++)
        {
            (SafetensorsEntry first, SafetensorsEntry second) = (Tensors[byName[i - 1]], Tensors[byName[i]]);
            if (first.Name == second.Name)
                throw new InvalidDataException(
                    $"Two tensors get the name {SafetensorsEntry.Quote(first.Name)}: "
                    + $"{SafetensorsEntry.Quote(first.NameInFile)} and {SafetensorsEntry.Quote(second.NameInFile)}.");
        }
        return this;
    }

    /// <summary>
    /// Removes the number from names such as <c>gamma:0</c>, which Keras 2 gives to a layer's variables, unless another
    /// tensor has the shorter name.
    /// </summary>
    static void TakeOffNumbers(List<SafetensorsEntry> tensors)
    {
        const string number = ":0";
        if (!tensors.Exists(tensor => tensor.Name.EndsWith(number, StringComparison.Ordinal)))
            return;
        HashSet<string> names = [.. tensors.Select(tensor => tensor.Name)];
        foreach (ref SafetensorsEntry tensor in CollectionsMarshal.AsSpan(tensors))
        {
            if (tensor.Name.EndsWith(number, StringComparison.Ordinal) && names.Add(tensor.Name[..^number.Length]))
                tensor = tensor with { Name = tensor.Name[..^number.Length] };
        }
    }

    static void CheckNames(List<SafetensorsEntry> tensors)
    {
        tensors.Sort((left, right) => string.CompareOrdinal(left.Name, right.Name));
        for (int i = 1; i < tensors.Count; i++)
        {
            if (tensors[i].Name == tensors[i - 1].Name)
                throw new InvalidDataException(
                    $"The header has tensor {SafetensorsEntry.Quote(tensors[i].Name)} twice.");
        }
    }

    static void CheckOffsets(List<SafetensorsEntry> tensors)
    {
        tensors.Sort((left, right) => (left.Begin, left.End).CompareTo((right.Begin, right.End)));
        long end = 0;
        foreach (SafetensorsEntry tensor in tensors)
        {
            if (tensor.Begin != end)
                throw new InvalidDataException(
                    $"The data of tensor {SafetensorsEntry.Quote(tensor.Name)} begins at {tensor.Begin}, which "
                    + (tensor.Begin < end ? "overlaps another tensor's, up to " : "leaves a gap after ") + $"{end}.");
            end = tensor.End;
        }
    }
}
