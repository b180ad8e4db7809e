using System.Globalization;

namespace Microsoft.ML.Transforms;

/// <summary>Tells which value of a row is not finite.</summary>
static class NonFiniteRow
{
    /// <param name="column">The column's name.</param>
    /// <param name="row">The values of the row.</param>
    /// <param name="position">Its position in the data.</param>
    /// <returns>Column, row, slot and value; null where all values are finite.</returns>
    public static string? Describe<T>(string column, ReadOnlySpan<T> row, long position) where T : unmanaged
    {
        for (int slot = 0; slot < row.Length; slot++)
        {
            if (!double.IsFinite(Convert.ToDouble(row[slot], CultureInfo.InvariantCulture)))
                return string.Create(
                    CultureInfo.InvariantCulture,
                    $"Column '{column}' is not finite: row {position}, slot {slot} has {row[slot]}.");
        }
        return null;
    }
}
