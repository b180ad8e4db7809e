using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>Where a run stands between two steps.</summary>
sealed record RunPosition
{
    /// <summary>The phase, from 0.</summary>
    public required int Phase { get; init; }

    /// <summary>The epoch in the phase, from 0; the number of epochs that were run when the phase is over.</summary>
    public required int Epoch { get; init; }

    /// <summary>The steps taken in the epoch.</summary>
    public required long Step { get; init; }

    /// <summary>The sum over the epoch's steps of loss times rows.</summary>
    [JsonNumberHandling(JsonNumberHandling.AllowNamedFloatingPointLiterals)]
    public required double LossSum { get; init; }

    [JsonIgnore]
    public NetworkState State { get; init; } = NetworkState.Empty;

    [JsonIgnore]
    public OptimizerState Optimizer { get; init; } = OptimizerState.Empty;

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
        Best = null,
        History = history,
        Statistics = statistics,
    };
}

/// <summary>The epoch of the lowest validation loss.</summary>
/// <param name="Epoch">From 1.</param>
/// <param name="Loss">Its validation loss.</param>
sealed record BestEpoch(int Epoch, double Loss)
{
    /// <summary>Its parameters; null if they will not be restored.</summary>
    [JsonIgnore]
    public NetworkState? State { get; init; }
}
