using System.Globalization;
using System.Numerics;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;

namespace Microsoft.ML.Transforms;

/// <summary>Messages about rows of a column that cannot be used.</summary>
static class RowFaults
{
    const string InLayer = "or set NonFinite.Ignore in the layer's options";

    /// <summary>Names the first value of a row that is NaN or infinite; null if all are finite.</summary>
    /// <param name="column">The column.</param>
    /// <param name="row">The values of the row.</param>
    /// <param name="position">The row's position in the data.</param>
    /// <param name="otherwise">What the user can do instead of replacing the value.</param>
    /// <returns>The column, the row, the slot with its name, the value, and what to do.</returns>
    public static string? NonFinite<T>(
        DataViewSchema.Column column, ReadOnlySpan<T> row, long position, string otherwise = InLayer)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        int slot = Finite.IndexOf(row);
        return slot < 0
            ? null
            : string.Create(
                CultureInfo.InvariantCulture,
                $"Column '{column.Name}' is not finite: row {position}, slot {slot}{NameOf(column, slot)} has "
                + $"{row[slot]}. Replace it before{(T.IsNaN(row[slot]) ? " with ReplaceMissingValues" : "")}, "
                + $"{otherwise}.");
    }

    /// <summary>Says that a row has another number of values than its column's type.</summary>
    /// <param name="column">The column's name.</param>
    /// <param name="length">The number of values in the row.</param>
    /// <param name="position">The row's position in the data.</param>
    /// <param name="expected">The number of values in the type.</param>
    public static string WrongLength(string column, int length, long position, int expected) => string.Create(
        CultureInfo.InvariantCulture,
        $"Column '{column}' has {length} values in row {position}, where its type says {expected}.");

    /// <summary>Names the column, and the slot if there is one, of an error of the statistics.</summary>
    /// <param name="column">The column's name.</param>
    /// <param name="layout">Where the channels lie in a row.</param>
    /// <param name="error">The error.</param>
    public static string Statistics(string column, ChannelLayout layout, InvalidDataException error) =>
        VarianceOverflow.ChannelOf(error) is { } slot && layout.Channels == layout.Count
            ? $"Column '{column}': the variance of slot {slot} {VarianceOverflow.Text}."
            : $"Column '{column}': {error.Message}";

    /// <summary>The slot's name in brackets, or nothing.</summary>
    static string NameOf(DataViewSchema.Column column, int slot)
    {
        if (!column.HasSlotNames())
            return "";
        VBuffer<ReadOnlyMemory<char>> names = default;
        column.GetSlotNames(ref names);
        ReadOnlyMemory<char> name = names.GetItemOrDefault(slot);
        return name.IsEmpty ? "" : $" ('{name}')";
    }
}
