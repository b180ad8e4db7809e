namespace Microsoft.ML.BatchNorm;

/// <summary>
/// One rank's rows of a batch that several ranks train on. Rows that share statistics lie one after the other.
/// </summary>
/// <param name="ranks">The ranks.</param>
/// <param name="shares">Which rows are this rank's.</param>
/// <param name="virtualBatchSize">The virtual batch size of the network's batch normalizations, or null.</param>
sealed class BatchShare(ICollective ranks, RowShares shares, int? virtualBatchSize)
{
    int[] indices = [], places = [], starts = [0, 0];
    int count;

    public ICollective Ranks => ranks;

    public RowShares Shares => shares;

    /// <summary>The number of rows of the batch on all ranks.</summary>
    public int BatchRows { get; private set; }

    /// <summary>This rank's rows, as indices into its data.</summary>
    public ReadOnlySpan<int> Rows => indices.AsSpan(0, count);

    /// <summary>The place in the batch of each of these rows.</summary>
    public ReadOnlySpan<int> Places => places.AsSpan(0, count);

    /// <summary>The place in the batch of each of so many rows. A row that stands in for none has place 0.</summary>
    public long[] PlacesOf(int rows)
    {
        long[] known = new long[rows];
        for (int row = 0; row < count; row++)
            known[row] = places[row];
        return known;
    }

    /// <summary>Takes a batch.</summary>
    /// <param name="batch">The numbers of its rows on all ranks.</param>
    public void Take(ReadOnlySpan<int> batch)
    {
        BatchRows = batch.Length;
        if (indices.Length < batch.Length)
            (indices, places) = (new int[batch.Length], new int[batch.Length]);
        int groups = RowGroups.CountOf(batch.Length, virtualBatchSize);
        if (starts.Length <= groups)
            starts = new int[groups + 1];
        count = 0;
        for (int group = 0; group < groups; group++)
        {
            starts[group] = count;
            for (int place = group; place < batch.Length; place += groups)
            {
                int index = shares.IndexOf(batch[place]);
                if (index < 0)
                    continue;
                (indices[count], places[count]) = (index, place);
                count++;
            }
        }
        starts[groups] = count;
    }

    /// <summary>Keeps none of this rank's rows, as if all were other ranks'.</summary>
    public void Leave()
    {
        count = 0;
        Array.Clear(starts);
    }

    /// <summary>The rows of a block that are in a group: the first one, and how many.</summary>
    public (int First, int Rows) Slice(RowBlock block, int group)
    {
        int first = Math.Max(block.First, starts[group]);
        return (first, Math.Max(0, Math.Min(block.First + block.Rows, starts[group + 1]) - first));
    }
}
