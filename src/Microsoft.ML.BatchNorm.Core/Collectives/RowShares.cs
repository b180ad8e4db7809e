namespace Microsoft.ML.BatchNorm;

/// <summary>
/// One numbering of the rows of all ranks, round by round: the first row of each rank, then the second of each, and so
/// on; a rank that has no more rows is left out. If rank r has the rows r, r + n, r + 2n, … of a whole, the numbers are
/// those of the whole.
/// </summary>
sealed class RowShares
{
    readonly Round[] rounds;

    /// <summary>Rounds that the same ranks take part in.</summary>
    /// <param name="Number">The number of the first row.</param>
    /// <param name="Row">The index of the first row on each rank.</param>
    /// <param name="Ranks">How many ranks take part.</param>
    /// <param name="Place">The place of this rank among them.</param>
    readonly record struct Round(int Number, int Row, int Ranks, int Place);

    /// <param name="rank">This rank.</param>
    /// <param name="counts">The number of rows of each rank.</param>
    /// <exception cref="ArgumentException">There are more rows than a run can have.</exception>
    public RowShares(int rank, ReadOnlySpan<int> counts)
    {
        Rank = rank;
        Rows = counts[rank];
        long total = 0;
        foreach (int count in counts)
            total += count;
        Total = total <= int.MaxValue
            ? (int)total
            : throw new ArgumentException($"The ranks have {total} rows; a run can have {int.MaxValue}.");
        var list = new List<Round>();
        int number = 0, row = 0;
        while (row < Rows)
        {
            int next = int.MaxValue, taking = 0, place = 0;
            for (int r = 0; r < counts.Length; r++)
            {
                if (counts[r] <= row)
                    continue;
                next = Math.Min(next, counts[r]);
                taking++;
                place += r < rank ? 1 : 0;
            }
            list.Add(new Round(number, row, taking, place));
            number += (next - row) * taking;
            row = next;
        }
        End = number;
        rounds = [.. list];
    }

    /// <summary>This rank.</summary>
    public int Rank { get; }

    /// <summary>The number of rows of all ranks.</summary>
    public int Total { get; }

    /// <summary>The number of rows of this rank.</summary>
    public int Rows { get; }

    /// <summary>The number from which on all rows are other ranks'.</summary>
    int End { get; }

    /// <summary>The index of a row on this rank, or −1 if it is another rank's.</summary>
    /// <param name="number">The row's number.</param>
    public int IndexOf(int number)
    {
        if ((uint)number >= (uint)End)
            return -1;
        ref readonly Round round = ref rounds[LastFrom(number, static round => round.Number)];
        int turn = (number - round.Number) / round.Ranks;
        return number - round.Number - turn * round.Ranks == round.Place ? round.Row + turn : -1;
    }

    /// <summary>The number of a row of this rank.</summary>
    /// <param name="index">The row's index on this rank.</param>
    public int NumberOf(int index)
    {
        ref readonly Round round = ref rounds[LastFrom(index, static round => round.Row)];
        return round.Number + (index - round.Row) * round.Ranks + round.Place;
    }

    /// <summary>The last rounds that begin at or before a value, by bisection.</summary>
    int LastFrom(int value, Func<Round, int> begin)
    {
        int low = 0, high = rounds.Length - 1;
        while (low < high)
        {
            int middle = (low + high + 1) / 2;
            (low, high) = begin(rounds[middle]) <= value ? (middle, high) : (low, middle - 1);
        }
        return low;
    }
}
