using Microsoft.ML.BatchNorm;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Cuts rows into units where they come in the order of the data, in pieces of any length up to a block's; for one
/// thread after the other.
/// </summary>
sealed class UnitCutter
{
    const int Parts = RowUnit.MostRows / RowBlock.Capacity;

    readonly List<RowBlock> parts = [];
    long passed, units;
    RowCenter[] centers = [];

    /// <summary>Takes the next rows.</summary>
    /// <param name="rows">
    /// The rows, by their positions among those that are passed; afterwards an empty block.
    /// </param>
    /// <param name="moves">The rows that are passed, those that a mask hides among them.</param>
    /// <param name="empty">An empty block; null afterwards where it was used.</param>
    /// <returns>The unit that is now full, or null.</returns>
    public CutUnit? Take(ref RowBlock rows, int moves, ref RowBlock? empty)
    {
        rows.Shift(passed);
        passed += moves;
        if (rows.Count == 0)
            return null;
        RowBlock? rest = null;
        if (parts is [] or [.., { IsFull: true }])
        {
            parts.Add(rows);
            (rows, empty) = (empty!, null);
        }
        else
        {
            RowBlock last = parts[^1];
            int count = Math.Min(RowBlock.Capacity - last.Count, rows.Count);
            last.Append(rows, 0, count);
            if (count < rows.Count)
            {
                (rest, empty) = (empty!, null);
                rest.Append(rows, count, rows.Count - count);
            }
            rows.Clear();
        }
        CutUnit? unit = parts.Count == Parts && parts[^1].IsFull ? Cut() : null;
        if (rest is not null)
            parts.Add(rest);
        return unit;
    }

    /// <summary>The last rows, that make no full unit, or null.</summary>
    public CutUnit? TakeLast() => parts.Count > 0 ? Cut() : null;

    CutUnit Cut()
    {
        if (units % RowShard.Units == 0)
            centers = Array.ConvertAll(parts[0].Columns, column => column.Center(parts[0].Count));
        var unit = new CutUnit(units++, [.. parts], centers);
        parts.Clear();
        return unit;
    }
}
