namespace Microsoft.ML.BatchNorm.TorchSharp.Switches;

/// <summary>
/// What goes into the batch normalizations of a module: hooks see it where they are run by <c>call()</c>; where they
/// are run by <c>forward()</c>, the layers themselves tell.
/// </summary>
sealed class LayerInputs<TBatch>(
    IReadOnlyCollection<AnyBatchNorm> norms, BatchFeed<TBatch> feed, InputWatch watch)
{
    readonly Dictionary<AnyBatchNorm, RowMeter<TBatch>> hidden = [];
    bool isStudied;

    /// <summary>The number of batches in the last pass.</summary>
    public long Batches { get; private set; }

    /// <summary>Those that hooks have seen, in the order in which they run.</summary>
    public IReadOnlyList<AnyBatchNorm> Seen => watch.Seen;

    /// <summary>Those that no hook sees, in the order in which they are registered.</summary>
    public IEnumerable<AnyBatchNorm> Hidden => norms.Where(hidden.ContainsKey);

    /// <summary>One pass over the data.</summary>
    /// <param name="choose">The layers of which the statistics are wanted, by the first batch.</param>
    /// <param name="training">
    /// Whether they are all in training mode; else none is but one that no hook sees, which is then chosen alone.
    /// </param>
    /// <exception cref="InvalidOperationException">No batch reaches a layer.</exception>
    public Dictionary<AnyBatchNorm, BatchStatistics> Pass(Func<TBatch, AnyBatchNorm[]> choose, bool training = false)
    {
        AnyBatchNorm[] chosen = [];
        AnyBatchNorm[] unseen = [];
        SavedTensors? saved = null;
        Batches = 0;
        try
        {
            foreach (TBatch batch in feed.Batches)
            {
                if (saved is null)
                {
                    Study(batch);
                    chosen = choose(batch);
                    unseen = [.. chosen.Where(hidden.ContainsKey)];
                    saved = SavedTensors.StatisticsOf(training ? chosen : unseen);
                    Array.ForEach(unseen, norm => hidden[norm].Restart());
                    foreach (AnyBatchNorm norm in training ? chosen : [])
                        norm.Module.train(true);
                    watch.Begin(chosen);
                }
                Array.ForEach(unseen, norm => hidden[norm].Begin(batch));
                feed.Run(batch);
                Batches++;
                foreach (AnyBatchNorm norm in unseen)
                    watch.Statistics[norm] = hidden[norm].End(batch);
            }
        }
        finally
        {
            saved?.Dispose();
        }
        IEnumerable<AnyBatchNorm> wanted = saved is null ? norms : chosen;
        AnyBatchNorm[] missing = [.. wanted.Where(norm => !watch.Statistics.ContainsKey(norm))];
        return missing.Length == 0 ? watch.End() : throw Missing(missing);
    }

    /// <summary>Of the layers given, those into which goes the same whatever the statistics of all of them.</summary>
    /// <remarks>If no hook sees them, the first is enough.</remarks>
    public AnyBatchNorm[] Free(TBatch batch, IReadOnlyCollection<AnyBatchNorm> left)
    {
        AnyBatchNorm[] seen = [.. Seen.Where(left.Contains)];
        Dictionary<AnyBatchNorm, BatchStatistics> before = Inputs(batch, seen), after;
        using (new Shift(left))
            after = Inputs(batch, seen);
        AnyBatchNorm[] free = [.. seen.Where(norm => before.ContainsKey(norm) && IsSame(before[norm], after[norm]))];
        return free.Length > 0
            ? free
            : [.. Hidden.Where(left.Contains).Where(norm => IsFree(batch, norm, left)).Take(1)];
    }

    public static InvalidOperationException Missing(IEnumerable<AnyBatchNorm> norms) => new(
        $"No batch reached {string.Join(", ", norms.Select(norm => $"'{norm.Name}'"))} by call(); a module that is run "
        + "by forward() runs no hooks.");

    Dictionary<AnyBatchNorm, BatchStatistics> Inputs(TBatch batch, AnyBatchNorm[] seen)
    {
        watch.Begin(seen);
        if (seen.Length > 0)
            feed.Run(batch);
        return watch.End();
    }

    bool IsFree(TBatch batch, AnyBatchNorm norm, IReadOnlyCollection<AnyBatchNorm> left)
    {
        using SavedTensors saved = SavedTensors.StatisticsOf(norm);
        BatchMoments before = hidden[norm].MomentsOf(batch), after;
        using (new Shift(left.Where(other => other != norm)))
            after = hidden[norm].MomentsOf(batch);
        return before.Mean.SequenceEqual(after.Mean) && before.Variance.SequenceEqual(after.Variance);
    }

    /// <summary>Finds out with the first batch which layers no hook sees.</summary>
    void Study(TBatch batch)
    {
        if (isStudied)
            return;
        isStudied = true;
        feed.Run(batch);
        if (feed.Rows is null)
            return;
        foreach (AnyBatchNorm norm in norms.Except(Seen))
        {
            using SavedTensors saved = SavedTensors.StatisticsOf(norm);
            var meter = new RowMeter<TBatch>(norm, feed, feed.Rows);
            if (meter.Study(batch))
                hidden.Add(norm, meter);
        }
    }

    static bool IsSame(BatchStatistics one, BatchStatistics other) =>
        one.Mean.SequenceEqual(other.Mean) && one.M2.SequenceEqual(other.M2);
}
