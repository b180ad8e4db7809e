namespace Microsoft.ML.BatchNorm.TorchSharp.Switches;

/// <summary>
/// The statistics of a layer's input that no hook sees: each batch's moments from the module itself, and the number of
/// values from the number of rows, of which each gives as many. Leaves the layer's statistics as they fall.
/// </summary>
sealed class RowMeter<TBatch>(AnyBatchNorm norm, BatchFeed<TBatch> feed, BatchRows<TBatch> rowsOf)
{
    const int LeastRows = 4;

    readonly ModuleStatistics module = new(norm);
    BatchStatistics? total;
    long[] shape = [];
    long perRow;

    /// <summary>Looks at a batch, as a whole and in two parts, with all other layers in inference mode.</summary>
    /// <returns>Whether the layer is run at all.</returns>
    /// <exception cref="InvalidOperationException">What goes in cannot be told from the batches.</exception>
    public bool Study(TBatch batch)
    {
        shape = rowsOf.Shape(batch);
        if (shape.Length == 0 || shape[0] < LeastRows)
            throw Unseen($"which takes a first batch of at least {LeastRows} rows to find out");
        if (!module.IsReached(() => feed.Run(batch)))
            return false;
        long rows = shape[0], half = rows / 2;
        BatchMoments whole = MomentsOf(batch), first, second;
        using (torch.NewDisposeScope())
        {
            first = MomentsOf(rowsOf.Part(batch, 0, half));
            second = MomentsOf(rowsOf.Part(batch, half, rows - half));
        }
        perRow = RowShare.Of(whole, rows, first, second, half)
            ?? throw Unseen("and the first batch does not show that each of its rows gives as many values of its own");
        return true;
    }

    /// <summary>The moments of one batch.</summary>
    public BatchMoments MomentsOf(TBatch batch)
    {
        module.Begin();
        feed.Run(batch);
        return module.End();
    }

    /// <summary>Begins with no statistics.</summary>
    public void Restart() => total = null;

    /// <summary>Lets the next forward pass, of this batch, say what its input is.</summary>
    public void Begin(TBatch batch)
    {
        if (!rowsOf.Shape(batch).AsSpan(1).SequenceEqual(shape.AsSpan(1)))
            throw Unseen("which takes batches of rows of one shape");
        if (Values(batch) == 1)
            throw new InvalidDataException($"The input of '{norm.Name}' has a single value per channel in a batch.");
        module.Begin();
    }

    /// <summary>The statistics of all batches since <see cref="Restart"/>, this one the last.</summary>
    public BatchStatistics End(TBatch batch)
    {
        BatchMoments moments = module.End();
        double count = Values(batch);
        double[] counts = new double[moments.Mean.Length];
        Array.Fill(counts, count);
        var statistics = new BatchStatistics(
            counts, moments.Mean, Array.ConvertAll(moments.Variance, variance => variance * (count - 1)));
        if (total is null)
            return total = statistics;
        total.Merge(statistics);
        return total;
    }

    long Values(TBatch batch) => rowsOf.Shape(batch)[0] * perRow;

    InvalidOperationException Unseen(string why) =>
        new($"'{norm.Name}' is not run by call(), and TorchSharp runs no hooks for forward(), {why}; use call().");
}
