namespace Microsoft.ML.BatchNorm.TorchSharp.Switches;

/// <summary>Replaces moving statistics of a module's batch normalizations by exact ones.</summary>
static class Recomputation
{
    /// <param name="module">The module.</param>
    /// <param name="all">Its batch normalizations that have statistics.</param>
    /// <param name="feed">What it is run on.</param>
    /// <param name="onePass">
    /// Whether the layers are in training mode for it; else in inference mode, with the statistics of those before.
    /// </param>
    /// <returns>The number of layers.</returns>
    public static int Run<TBatch>(
        torch.nn.Module module, IEnumerable<AnyBatchNorm> all, BatchFeed<TBatch> feed, bool onePass)
    {
        AnyBatchNorm[] norms = [.. all.Where(norm => !Freeze.KeepsStatistics(norm))];
        if (norms.Length == 0)
            return 0;
        (torch.nn.Module Module, bool Training)[] modes =
            [.. module.named_modules().Select(entry => entry.module).Prepend(module)
                .Select(each => (each, each.training))];
        double?[] momenta = [.. norms.Select(norm => norm.Module.momentum)];
        using IDisposable noGradient = torch.no_grad();
        using var counts = new SavedTensors(norms.Select(norm => norm.BatchesTracked!));
        using SavedTensors statistics = SavedTensors.StatisticsOf(norms);
        using var watch = new InputWatch(norms);
        try
        {
            module.eval();
            Array.ForEach(norms, norm => norm.Module.momentum = 1);
            var inputs = new LayerInputs<TBatch>(norms, feed, watch);
            if (onePass)
                Take(inputs.Pass(_ => norms, training: true));
            else
                Settle(norms, inputs);
            Array.ForEach(norms, norm => norm.SetBatchesTracked(inputs.Batches));
            statistics.Stay = counts.Stay = true;
            return norms.Length;
        }
        finally
        {
            foreach ((torch.nn.Module each, bool training) in modes)
                each.train(training);
            foreach ((AnyBatchNorm norm, double? momentum) in norms.Zip(momenta))
                norm.Module.momentum = momentum;
        }
    }

    /// <summary>
    /// Pass after pass: each settles all layers into which goes nothing that is not settled, as far as the first batch
    /// shows it. Where the order in which the layers run does not say so too, further passes look whether it is true.
    /// </summary>
    static void Settle<TBatch>(AnyBatchNorm[] norms, LayerInputs<TBatch> inputs)
    {
        HashSet<AnyBatchNorm> left = [.. norms];
        bool isProven = true;
        while (left.Count > 0)
        {
            Dictionary<AnyBatchNorm, BatchStatistics> settled = inputs.Pass(Next);
            Take(settled);
            left.ExceptWith(settled.Keys);
        }
        // However they depend on each other, each pass is right about one layer more.
        for (int pass = 0; !isProven && pass < norms.Length; pass++)
            isProven = IsSettled(inputs);

        AnyBatchNorm[] Next(TBatch batch)
        {
            AnyBatchNorm first = inputs.Seen.Concat(inputs.Hidden).FirstOrDefault(left.Contains)
                ?? throw LayerInputs<TBatch>.Missing(left);
            if (left.Count == 1)
                return [first];
            AnyBatchNorm[] free = inputs.Free(batch, left);
            isProven &= free switch
            {
                [] => !inputs.Hidden.Any(left.Contains),
                [AnyBatchNorm one] => one == first || inputs.Hidden.Contains(one),
                _ => false,
            };
            return free is [] ? [first] : free;
        }
    }

    static bool IsSettled<TBatch>(LayerInputs<TBatch> inputs)
    {
        bool isSame = true;
        foreach (AnyBatchNorm[] group in
            (IEnumerable<AnyBatchNorm[]>)[[.. inputs.Seen], .. inputs.Hidden.Select(norm => new[] { norm })])
        {
            if (group.Length > 0)
                isSame &= !Take(inputs.Pass(_ => group));
        }
        return isSame;
    }

    /// <summary>Whether that changes anything.</summary>
    static bool Take(Dictionary<AnyBatchNorm, BatchStatistics> statistics) =>
        statistics.Aggregate(false, (changes, entry) => entry.Key.Take(entry.Value) | changes);
}
