using System.Text.Json;

namespace Microsoft.ML.BatchNorm;

/// <summary>One tensor of a safetensors header.</summary>
readonly record struct SafetensorsEntry(string Name, string Dtype, SafetensorsShape Shape, long Begin, long End)
{
    // For dtypes that are not listed, such as those of less than a byte, only the offsets are checked.
    static readonly (string Name, int Bytes)[] known =
    [
        ("F64", 8), ("F32", 4), ("F16", 2), ("BF16", 2),
        ("I64", 8), ("I32", 4), ("I16", 2), ("I8", 1), ("U64", 8), ("U32", 4), ("U16", 2), ("U8", 1), ("BOOL", 1),
        ("F8_E4M3", 1), ("F8_E5M2", 1), ("F8_E8M0", 1), ("C64", 8),
    ];

    /// <summary>The name in the file, which <see cref="Name"/> is too unless the tensor was renamed.</summary>
    public string NameInFile { get; init; } = Name;

    public long Bytes => End - Begin;

    public bool IsFloat => Dtype is "F64" or "F32" or "F16" or "BF16";

    /// <summary>Whether a value of this dtype can be a count, if it is whole.</summary>
    public bool IsNumber => IsFloat || Dtype is "I64" or "I32" or "I16" or "I8" or "U64" or "U32" or "U16" or "U8";

    /// <summary>The known dtype that the reader is at, as one shared string; null for another dtype.</summary>
    public static string? KnownDtype(in Utf8JsonReader json)
    {
        foreach ((string name, _) in known)
        {
            if (json.ValueTextEquals(name))
                return name;
        }
        return null;
    }

    /// <summary>The number of bytes of an element; 0 for an unknown dtype.</summary>
    public static int SizeOf(string dtype) => Array.Find(known, entry => entry.Name == dtype).Bytes;

    /// <summary>Checks that the offsets span as many bytes as shape and dtype take.</summary>
    /// <param name="elements">The product of the shape; null where it overflows.</param>
    public void CheckBytes(long? elements)
    {
        int size = SizeOf(Dtype);
        if (size == 0)
            return;
        if (elements is not { } count || count > long.MaxValue / size)
            throw new InvalidDataException($"Tensor {Quote(Name)}: shape overflows.");
        if (count * size != Bytes)
            throw new InvalidDataException(
                $"Tensor {Quote(Name)}: {count} elements of {Dtype} take {count * size} bytes; data_offsets are "
                + $"{Begin} and {End}.");
    }

    /// <summary>A name in quotes for a message, cut off if it is long, as that of a hostile file may be.</summary>
    public static string Quote(string name) => name.Length <= 80 ? $"\"{name}\"" : $"\"{name.AsSpan(0, 80)}…\"";
}

/// <summary>
/// The shape of a tensor in a file: the rank, and the first four dimensions, which are 1 beyond the rank.
/// </summary>
readonly record struct SafetensorsShape(int Rank, long First, long Second, long Third, long Fourth)
{
    public static SafetensorsShape Of(params ReadOnlySpan<int> dimensions)
    {
        SafetensorsShape shape = Scalar;
        foreach (int dimension in dimensions)
            shape = shape.With(dimension);
        return shape;
    }

    public static SafetensorsShape Scalar => new(0, 1, 1, 1, 1);

    /// <summary>The shape with one more dimension at the end.</summary>
    public SafetensorsShape With(long dimension) => Rank switch
    {
        0 => this with { Rank = 1, First = dimension },
        1 => this with { Rank = 2, Second = dimension },
        2 => this with { Rank = 3, Third = dimension },
        3 => this with { Rank = 4, Fourth = dimension },
        _ => this with { Rank = Rank + 1 },
    };

    public long this[int index] => index switch { 0 => First, 1 => Second, 2 => Third, _ => Fourth };

    public override string ToString() => Rank switch
    {
        0 => "[]",
        1 => $"[{First}]",
        2 => $"[{First}, {Second}]",
        3 => $"[{First}, {Second}, {Third}]",
        4 => $"[{First}, {Second}, {Third}, {Fourth}]",
        _ => $"[{First}, {Second}, {Third}, {Fourth}, …] of rank {Rank}",
    };
}
