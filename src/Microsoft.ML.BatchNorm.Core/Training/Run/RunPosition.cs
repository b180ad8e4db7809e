using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.Training;

/// <summary>Where a run stands between two steps.</summary>
sealed record RunPosition
{
    /// <summary>The phase, from 0.</summary>
    public required int Phase { get; init; }

    /// <summary>The epoch in the phase, from 0; the number of those run when the phase is over.</summary>
    public required int Epoch { get; init; }

    /// <summary>The steps taken in the epoch.</summary>
    public required long Step { get; init; }

    /// <summary>The sum over the epoch's steps of loss times rows.</summary>
    public required double LossSum { get; init; }

    public required NetworkState State { get; init; }

    public required OptimizerState Optimizer { get; init; }

    /// <summary>The best epoch of the phase so far, or null before the first finite validation loss.</summary>
    public required BestEpoch? Best { get; init; }

    public required ImmutableArray<EpochResult> History { get; init; }

    public ImmutableArray<StatisticsDistance> Statistics { get; init; } = [];

    public static RunPosition StartOf(
        int phase, NetworkState state, ImmutableArray<EpochResult> history,
        ImmutableArray<StatisticsDistance> statistics) => new()
    {
        Phase = phase,
        Epoch = 0,
        Step = 0,
        LossSum = 0,
        State = state,
        Optimizer = OptimizerState.Empty,
        Best = null,
        History = history,
        Statistics = statistics,
    };
}

/// <summary>The epoch of the lowest validation loss.</summary>
/// <param name="Epoch">From 1.</param>
/// <param name="Loss">Its validation loss.</param>
/// <param name="State">Its parameters, or null where they will not be restored.</param>
sealed record BestEpoch(int Epoch, double Loss, NetworkState? State);
