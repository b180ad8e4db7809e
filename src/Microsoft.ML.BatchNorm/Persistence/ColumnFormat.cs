using System.Runtime.InteropServices;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// The columns of a transformer in a model entry. Version 1: the number of columns (int32), and for each: the output's
/// and the input's name (int32 each, in ML.NET's table of strings), the length of the options in bytes (int32), the
/// <see cref="OptionsFormat">options</see>, the <see cref="BatchNormalizationState.Save">state</see>, and the CRC-32C
/// of both names and the options (uint32). The state has a checksum of its own.
/// </summary>
static class ColumnFormat
{
    const int LongestOptions = 1024;

    public static void Write(ModelSaveContext ctx, BatchNormalizationColumn[] columns)
    {
        ctx.Writer.Write(columns.Length);
        foreach (BatchNormalizationColumn column in columns)
        {
            byte[] options = OptionsFormat.ToBytes(column.Options);
            ctx.SaveNonEmptyString(column.OutputColumnName);
            ctx.SaveNonEmptyString(column.InputColumnName);
            ctx.Writer.Write(options.Length);
            ctx.Writer.Write(options);
            ctx.Writer.Flush();
            column.State.Save(ctx.Writer.BaseStream);
            ctx.Writer.Write(Checksum(column.OutputColumnName, column.InputColumnName, options));
        }
    }

    /// <summary>Reads what <see cref="Write"/> wrote; whatever is wrong with it is ML.NET's decode error.</summary>
    public static BatchNormalizationColumn[] Read(IHostEnvironment env, ModelLoadContext ctx)
    {
        try
        {
            int count = ctx.Reader.ReadInt32();
            env.CheckDecode(count > 0, "A batch normalization has at least one column.");
            // Memory grows with the columns that are there, not with their claimed number.
            var columns = new List<BatchNormalizationColumn>();
            var names = new HashSet<string>();
            while (columns.Count < count)
            {
                BatchNormalizationColumn column = ReadColumn(env, ctx);
                env.CheckDecode(
                    names.Add(column.OutputColumnName), "Two columns of a batch normalization have one name.");
                columns.Add(column);
            }
            return [.. columns];
        }
        catch (Exception error) when (error is InvalidDataException or EndOfStreamException or ArgumentException)
        {
            throw env.ExceptDecode(error, $"A batch normalization cannot be read: {error.Message}");
        }
    }

    static BatchNormalizationColumn ReadColumn(IHostEnvironment env, ModelLoadContext ctx)
    {
        string output = ctx.LoadNonEmptyString(), input = ctx.LoadNonEmptyString();
        int length = ctx.Reader.ReadInt32();
        env.CheckDecode(
            length is > 0 and <= LongestOptions, "The options of a batch normalization have a wrong length.");
        byte[] options = ctx.Reader.ReadBytes(length);
        BatchNormalizationState state = BatchNormalizationState.Load(ctx.Reader.BaseStream);
        env.CheckDecode(
            ctx.Reader.ReadUInt32() == Checksum(output, input, options),
            "The checksum of a batch normalization's names and options does not match.");
        return new BatchNormalizationColumn(output, input, OptionsFormat.FromBytes(options), state);
    }

    static uint Checksum(string output, string input, ReadOnlySpan<byte> options)
    {
        var checksum = new Crc32C();
        foreach (string name in (ReadOnlySpan<string>)[output, input])
        {
            checksum.Append(BitConverter.GetBytes(name.Length));
            checksum.Append(MemoryMarshal.AsBytes(name.AsSpan()));
        }
        checksum.Append(options);
        return checksum.Value;
    }
}
