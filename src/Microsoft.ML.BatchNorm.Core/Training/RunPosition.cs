using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>Where a run stands between two steps, besides what never changes.</summary>
sealed record RunPosition
{
    /// <summary>The phase, from 0.</summary>
    public required int Phase { get; init; }

    /// <summary>The epoch in the phase, from 0; the number of epochs when the phase is over.</summary>
    public required int Epoch { get; init; }

    /// <summary>The steps taken in the epoch.</summary>
    public required long Step { get; init; }

    /// <summary>The sum over the epoch's steps of loss times rows.</summary>
    public required double LossSum { get; init; }

    public required NetworkState State { get; init; }

    public required OptimizerState Optimizer { get; init; }

    /// <summary>The best epoch of the phase so far, or null before the first validation.</summary>
    public required BestEpoch? Best { get; init; }

    public required ImmutableArray<EpochResult> History { get; init; }
}

/// <summary>The epoch of the lowest validation loss.</summary>
/// <param name="Epoch">From 1.</param>
/// <param name="Loss">Its validation loss.</param>
/// <param name="State">Its parameters, or null where they will not be restored.</param>
sealed record BestEpoch(int Epoch, double Loss, NetworkState? State);
