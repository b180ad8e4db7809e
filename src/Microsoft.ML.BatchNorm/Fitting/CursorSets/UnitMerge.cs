using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>Adds sums of units to the columns in their order; called from any thread.</summary>
sealed class UnitMerge(IHost host, ColumnSums[] columns)
{
    readonly Dictionary<long, SummedUnit> early = [];
    readonly Stack<SummedUnit> spare = [];
    long next;

    public SummedUnit NewSum() => new(Array.ConvertAll(columns, column => column.Length));

    /// <summary>Takes the sums of a unit, and adds all up to the first unit that is still missing.</summary>
    /// <returns>Sums that are no longer needed, or null.</returns>
    /// <exception cref="InvalidOperationException">The next row that is not in order has been reached.</exception>
    public SummedUnit? Add(SummedUnit sum)
    {
        lock (early)
        {
            early.Add(sum.Number, sum);
            while (early.Remove(next, out SummedUnit? ready))
            {
                if (ready.Fault is { } found)
                    throw host.Except(new InvalidDataException(found), found);
                for (int column = 0; column < columns.Length; column++)
                    columns[column].Add(ready.Columns[column]);
                spare.Push(ready);
                next++;
            }
            return spare.TryPop(out SummedUnit? free) ? free : null;
        }
    }
}
