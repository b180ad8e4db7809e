using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// The columns of a transformer in a model entry: their number (int32), and for each: the output's and
/// the input's name (int32 each, in ML.NET's table of strings), the CRC-32C of both names (uint32), and
/// <see cref="BatchNormalizationState.Save">options and state</see>, which have a checksum of their own.
/// </summary>
static class ColumnFormat
{
    public static void Write(ModelSaveContext ctx, BatchNormalizationColumn[] columns)
    {
        ctx.Writer.Write(columns.Length);
        foreach (BatchNormalizationColumn column in columns)
        {
            ctx.SaveNonEmptyString(column.OutputColumnName);
            ctx.SaveNonEmptyString(column.InputColumnName);
            ctx.Writer.Write(EntryChecksum.Of([], column.OutputColumnName, column.InputColumnName));
            ctx.Writer.Flush();
            column.State.Save(ctx.Writer.BaseStream, column.Options);
        }
    }

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    /// <exception cref="InvalidDataException">A state or a kind is damaged.</exception>
    /// <exception cref="EndOfStreamException">Bytes are missing.</exception>
    /// <exception cref="ArgumentException">A value is out of range.</exception>
    public static BatchNormalizationColumn[] Read(IHostEnvironment env, ModelLoadContext ctx)
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

    static BatchNormalizationColumn ReadColumn(IHostEnvironment env, ModelLoadContext ctx)
    {
        string output = ctx.LoadNonEmptyString(), input = ctx.LoadNonEmptyString();
        env.CheckDecode(
            ctx.Reader.ReadUInt32() == EntryChecksum.Of([], output, input),
            "The checksum of a batch normalization's names does not match.");
        SavedBatchNormalization saved = BatchNormalizationState.Load(ctx.Reader.BaseStream);
        return new BatchNormalizationColumn(output, input, saved.Options, saved.State);
    }
}
