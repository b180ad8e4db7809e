using System.Globalization;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Internal.Utilities;
using Utils = Microsoft.ML.Internal.Utilities.Utils;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Columns of several ranks, which must mean the same. ML.NET fits the steps before on each rank's rows alone, and a
/// step that numbers values, such as <c>MapValueToKey</c>, does so in the order in which it meets them.
/// </summary>
static class RankColumns
{
    static readonly FuncStaticMethodInfo1<(DataViewSchema.Column, string), string[]> names = new(Names<int>);

    public const string Advice =
        "Give a step before that numbers values, such as MapValueToKey or OneHotEncoding, its keyData: fitted on the "
        + "rows of a rank, it numbers them otherwise.";

    /// <summary>The ranks on which the given differs from that of rank 0, as text; or null. One message.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="write">Writes what this rank was given.</param>
    public static string? Different(ICollective ranks, Action<BinaryWriter> write)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        write(writer);
        writer.Flush();
        return RankAgreement.Different(ranks, stream.GetBuffer().AsSpan(0, (int)stream.Length));
    }

    /// <summary>Writes a column's slot names and key values, if it has them.</summary>
    public static void WriteNames(BinaryWriter writer, DataViewSchema.Column column)
    {
        foreach (string kind in (string[])[AnnotationUtils.Kinds.SlotNames, AnnotationUtils.Kinds.KeyValues])
        {
            string[] values = column.Annotations.Schema.GetColumnOrNull(kind)?.Type is VectorDataViewType type
                ? Utils.MarshalInvoke(names, type.ItemType.RawType, (column, kind))
                : [];
            writer.Write(values.Length);
            Array.ForEach(values, writer.Write);
        }
    }

    static string[] Names<T>((DataViewSchema.Column Column, string Kind) of)
    {
        VBuffer<T> names = default;
        of.Column.Annotations.GetValue(of.Kind, ref names);
        return [.. names.DenseValues().Select(name => Convert.ToString(name, CultureInfo.InvariantCulture) ?? "")];
    }
}
