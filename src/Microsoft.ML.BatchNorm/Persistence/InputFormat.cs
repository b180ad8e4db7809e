using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// What the columns of a transformer were fitted to, in a model entry behind the settings: for each column what is known
/// (one byte: 0 nothing, 1 the dimensions of a column that was not marked as normalized, 2 of one that was), and where
/// something is, the number of dimensions (one byte) and each (int32); and the CRC-32C of all of them (uint32).
/// </summary>
static class InputFormat
{
    const byte Unknown = 0, Raw = 1, Normalized = 2;

    public static void Write(ModelSaveContext ctx, BatchNormalizationColumn[] columns)
    {
        var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        foreach (BatchNormalizationColumn column in columns)
            Write(writer, column.Input);
        byte[] bytes = stream.ToArray();
        ctx.Writer.Write(bytes);
        ctx.Writer.Write(EntryChecksum.Of(bytes));
    }

    /// <summary>The columns with what <see cref="Write(ModelSaveContext, BatchNormalizationColumn[])"/> wrote.</summary>
    /// <exception cref="EndOfStreamException">Bytes are missing.</exception>
    /// <exception cref="ArgumentException">Dimensions are out of range, or not those of the channels.</exception>
    public static BatchNormalizationColumn[] Read(
        IHostEnvironment env, ModelLoadContext ctx, BatchNormalizationColumn[] columns)
    {
        var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        FittedInput?[] inputs = Array.ConvertAll(columns, column =>
        {
            FittedInput? input = Read(env, ctx.Reader);
            Write(writer, input);
            return input;
        });
        env.CheckDecode(
            ctx.Reader.ReadUInt32() == EntryChecksum.Of(stream.ToArray()),
            "The checksum of a batch normalization's input columns does not match.");
        return [.. columns.Zip(inputs, (column, input) => column.FittedTo(input))];
    }

    static void Write(BinaryWriter writer, FittedInput? input)
    {
        writer.Write(input is null ? Unknown : input.IsNormalized ? Normalized : Raw);
        if (input is null)
            return;
        writer.Write((byte)input.Shape.Rank);
        foreach (int dimension in input.Shape.Dimensions)
            writer.Write(dimension);
    }

    static FittedInput? Read(IHostEnvironment env, BinaryReader reader)
    {
        byte known = reader.ReadByte();
        env.CheckDecode(known <= Normalized, "What is known of an input column is of no known kind.");
        if (known == Unknown)
            return null;
        int[] dimensions = new int[reader.ReadByte()];
        for (int i = 0; i < dimensions.Length; i++)
            dimensions[i] = reader.ReadInt32();
        return new FittedInput(new TensorShape(dimensions), known == Normalized);
    }
}
