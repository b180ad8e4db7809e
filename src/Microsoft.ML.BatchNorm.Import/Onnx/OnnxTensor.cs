using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.Import;

/// <summary>The types of elements that the import reads, with their numbers in the file.</summary>
enum OnnxType
{
    Float = 1,
    Int32 = 6,
    Int64 = 7,
    Float16 = 10,
    Double = 11,
    BFloat16 = 16,
}

/// <summary>A tensor in the bytes of a file. Its values are checked and converted when they are needed.</summary>
sealed class OnnxTensor
{
    /// <summary>The most dimensions of a tensor that is read.</summary>
    public const int MostDimensions = 32;

    readonly List<long> dimensions = [];
    ReadOnlyMemory<byte> bytes;

    // Only of a tensor whose values stand in the file one by one.
    ArrayBufferWriter<byte>? pieces;
    List<long>? integers;

    public string Name { get; set; } = "";

    public OnnxType Type { get; set; }

    /// <summary>Whether the values are in another file.</summary>
    public bool IsElsewhere { get; set; }

    public void AddDimension(long size) => dimensions.Add(size);

    public void AddInteger(long value) => (integers ??= []).Add(value);

    public void AddBytes(ReadOnlyMemory<byte> more)
    {
        if (bytes.IsEmpty && pieces is null)
        {
            bytes = more;
            return;
        }
        if (pieces is null)
        {
            pieces = new ArrayBufferWriter<byte>();
            pieces.Write(bytes.Span);
        }
        pieces.Write(more.Span);
        bytes = pieces.WrittenMemory;
    }

    /// <summary>The dimensions, which are those of an array.</summary>
    /// <exception cref="InvalidDataException">They are not, or the values are not in the file.</exception>
    public ImmutableArray<int> Shape
    {
        get
        {
            if (IsElsewhere)
                throw new InvalidDataException(
                    $"The values of '{Name}' are in another file, which is not read. Write the model with all its "
                    + "values in one file: in Python, onnx.save(onnx.load(path), path, save_as_external_data=False).");
            if (dimensions.Count > MostDimensions)
                throw Damaged($"has {dimensions.Count} dimensions");
            long count = 1;
            foreach (long size in dimensions)
            {
                if (size is < 0 or > int.MaxValue || (count *= size) > int.MaxValue)
                    throw Damaged($"has the dimensions [{string.Join(", ", dimensions)}]");
            }
            return [.. dimensions.Select(size => (int)size)];
        }
    }

    /// <summary>Whether the values are whole numbers.</summary>
    public bool IsWhole => Type is OnnxType.Int32 or OnnxType.Int64;

    /// <summary>The number of values.</summary>
    /// <exception cref="InvalidDataException">
    /// The values are not in the file, or not as many as the dimensions say, or of a type that is not read.
    /// </exception>
    int Count
    {
        get
        {
            int count = Shape.Aggregate(1, (count, size) => count * size);
            long there = Type switch
            {
                OnnxType.Float => Of(sizeof(float)),
                OnnxType.Double => Of(sizeof(double)),
                OnnxType.Float16 or OnnxType.BFloat16 => integers?.Count ?? Of(sizeof(short)),
                OnnxType.Int32 => integers?.Count ?? Of(sizeof(int)),
                OnnxType.Int64 => integers?.Count ?? Of(sizeof(long)),
                _ => throw new InvalidDataException(
                    $"The tensor '{Name}' has elements of type {(int)Type}; the types that are read are "
                    + string.Join(", ", Enum.GetValues<OnnxType>().Select(type => $"{type} ({(int)type})")) + "."),
            };
            return there == count ? count : throw Damaged(
                $"has values for {there} elements; its dimensions are [{string.Join(", ", dimensions)}]");

            long Of(int width) => bytes.Length % width == 0 ? bytes.Length / width : -1;
        }
    }

    /// <summary>The values as floats, in row-major order.</summary>
    /// <inheritdoc cref="Count"/>
    public float[] ToFloats()
    {
        float[] values = new float[Count];
        if (Type == OnnxType.Float && BitConverter.IsLittleEndian)
        {
            MemoryMarshal.Cast<byte, float>(bytes.Span).CopyTo(values);
            return values;
        }
        for (int i = 0; i < values.Length; i++)
            values[i] = (float)At(i);
        return values;
    }

    /// <summary>The values as doubles, in row-major order.</summary>
    /// <inheritdoc cref="Count"/>
    public double[] ToDoubles()
    {
        double[] values = new double[Count];
        for (int i = 0; i < values.Length; i++)
            values[i] = At(i);
        return values;
    }

    /// <summary>The values as whole numbers; null if they are not.</summary>
    /// <inheritdoc cref="Count"/>
    public long[]? ToIntegers()
    {
        if (!IsWhole)
            return null;
        long[] values = new long[Count];
        for (int i = 0; i < values.Length; i++)
            values[i] = IntegerAt(i);
        return values;
    }

    double At(int i) => Type switch
    {
        OnnxType.Float => BinaryPrimitives.ReadSingleLittleEndian(bytes.Span[(sizeof(float) * i)..]),
        OnnxType.Double => BinaryPrimitives.ReadDoubleLittleEndian(bytes.Span[(sizeof(double) * i)..]),
        OnnxType.Float16 => (double)BitConverter.Int16BitsToHalf((short)IntegerAt(i)),
        OnnxType.BFloat16 => BitConverter.Int32BitsToSingle((int)IntegerAt(i) << 16),
        _ => IntegerAt(i),
    };

    long IntegerAt(int i) => integers is not null ? integers[i] : Type switch
    {
        OnnxType.Int64 => BinaryPrimitives.ReadInt64LittleEndian(bytes.Span[(sizeof(long) * i)..]),
        OnnxType.Int32 => BinaryPrimitives.ReadInt32LittleEndian(bytes.Span[(sizeof(int) * i)..]),
        _ => BinaryPrimitives.ReadInt16LittleEndian(bytes.Span[(sizeof(short) * i)..]),
    };

    InvalidDataException Damaged(string fault) => new($"The file is damaged: the tensor '{Name}' {fault}.");
}
