using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>Takes the units of a column's rows in their order.</summary>
sealed class ColumnSums(IHost host, string column, int length, PopulationFit fit)
{
    readonly RowShard shard = new(length);

    /// <summary>Whether the next unit has new centers.</summary>
    public bool BeginsShard => shard.Rows == 0;

    /// <summary>Values in a row.</summary>
    public int Length => length;

    /// <summary>Adds a unit, which then has no rows.</summary>
    public void Add(RowUnit unit)
    {
        shard.Add(unit);
        if (shard.IsFull)
            Move();
    }

    /// <summary>Adds what no full shard has been made of.</summary>
    public void Complete()
    {
        if (!BeginsShard)
            Move();
    }

    void Move()
    {
        try
        {
            fit.Add(shard);
        }
        catch (InvalidDataException error)
        {
            throw host.Except(
                error, StatisticsFault.Describe(column, ChannelLayout.Features(1, length), error));
        }
    }
}
