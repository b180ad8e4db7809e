using Microsoft.ML.BatchNorm.TorchSharp.Statistics;

namespace Microsoft.ML.BatchNorm.TorchSharp.Switches;

/// <summary>Hooks that see what goes into batch normalizations which are run by <c>call()</c>.</summary>
sealed class InputWatch : IDisposable
{
    readonly List<Action> removals = [];
    readonly List<AnyBatchNorm> seen = [];
    HashSet<AnyBatchNorm> wanted = [];

    public InputWatch(IEnumerable<AnyBatchNorm> norms)
    {
        foreach (AnyBatchNorm norm in norms)
        {
            var hook = norm.Module.register_forward_pre_hook((_, x) =>
            {
                See(norm, x);
                return x;
            });
            removals.Add(hook.remove);
        }
    }

    /// <summary>Those that were seen so far, in the order in which each was seen first.</summary>
    public IReadOnlyList<AnyBatchNorm> Seen => seen;

    /// <summary>The statistics of what went into the layers that are wanted.</summary>
    public Dictionary<AnyBatchNorm, BatchStatistics> Statistics { get; private set; } = [];

    /// <summary>Begins with no statistics.</summary>
    public void Begin(IEnumerable<AnyBatchNorm> norms)
    {
        wanted = [.. norms];
        Statistics = [];
    }

    public Dictionary<AnyBatchNorm, BatchStatistics> End()
    {
        wanted = [];
        return Statistics;
    }

    public void Dispose() => removals.ForEach(remove => remove());

    void See(AnyBatchNorm norm, Tensor x)
    {
        if (!seen.Contains(norm))
            seen.Add(norm);
        if (!wanted.Contains(norm))
            return;
        using var scope = torch.NewDisposeScope();
        BatchStatistics batch = DeviceStatistics.Of(x.reshape(x.shape[0], x.shape[1], -1));
        if (!DeviceStatistics.AreFinite(batch))
            throw new InvalidDataException($"The input of '{norm.Name}' is not finite.");
        if (Statistics.TryGetValue(norm, out BatchStatistics? known))
            known.Merge(batch);
        else
            Statistics.Add(norm, batch);
    }
}
