namespace Microsoft.ML.Transforms;

/// <summary>Rows that lie behind each other in the data, of all columns that are fitted.</summary>
sealed class RowBlock(HeldRows[] columns)
{
    /// <summary>The most rows: what ML.NET hands from thread to thread at once is about as much.</summary>
    public const int Capacity = 64;

    readonly long[] positions = new long[Capacity];

    /// <summary>The number of rows; those behind them are spare buffers.</summary>
    public int Count { get; private set; }

    public bool IsFull => Count == Capacity;

    public HeldRows[] Columns => columns;

    /// <summary>Counts one more row, which the columns already have.</summary>
    public void Append(long position) => positions[Count++] = position;

    /// <summary>Takes rows of another, which gets as many spare buffers for them.</summary>
    public void Append(RowBlock other, int from, int count)
    {
        for (int column = 0; column < columns.Length; column++)
            columns[column].Exchange(Count, other.Columns[column], from, count);
        Array.Copy(other.positions, from, positions, Count, count);
        Count += count;
    }

    /// <summary>Moves the rows by a number of rows that have turned out to be before them in the data.</summary>
    public void Shift(long offset)
    {
        for (int row = 0; row < Count; row++)
            positions[row] += offset;
    }

    public void Clear() => Count = 0;

    /// <summary>What is wrong with the first row that is not in order, or null.</summary>
    public string? DescribeFault()
    {
        for (int row = 0; row < Count; row++)
        {
            foreach (HeldRows column in columns)
            {
                if (column.DescribeFault(row, positions[row]) is { } found)
                    return found;
            }
        }
        return null;
    }
}
