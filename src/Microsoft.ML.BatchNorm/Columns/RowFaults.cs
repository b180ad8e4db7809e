using System.Globalization;
using Microsoft.ML.Data;

namespace Microsoft.ML.Transforms;

/// <summary>Tells which value of a row is not finite.</summary>
static class NonFiniteRow
{
    const string InLayer = "or set NonFinite.Ignore in the layer's options";

    /// <param name="column">The column.</param>
    /// <param name="row">The values of the row.</param>
    /// <param name="position">Its position in the data.</param>
    /// <param name="otherwise">What can be done besides replacing the value.</param>
    /// <returns>
    /// Column, row, slot with its name, value, and what to do; null where all values are finite.
    /// </returns>
    public static string? Describe<T>(
        DataViewSchema.Column column, ReadOnlySpan<T> row, long position, string otherwise = InLayer)
        where T : unmanaged
    {
        for (int slot = 0; slot < row.Length; slot++)
        {
            double value = Convert.ToDouble(row[slot], CultureInfo.InvariantCulture);
            if (!double.IsFinite(value))
                return string.Create(
                    CultureInfo.InvariantCulture,
                    $"Column '{column.Name}' is not finite: row {position}, slot {slot}{NameOf(column, slot)} has "
                    + $"{row[slot]}. Replace it before{(double.IsNaN(value) ? " with ReplaceMissingValues" : "")}, "
                    + $"{otherwise}.");
        }
        return null;
    }

    /// <summary>The slot's name in brackets, where it has one.</summary>
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
