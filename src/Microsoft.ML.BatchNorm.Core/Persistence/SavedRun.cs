using System.Collections.Immutable;
using Microsoft.ML.BatchNorm.Training;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>A checkpoint while it is read: the run, before its arrays have come.</summary>
sealed class SavedRun(RunSetup setup)
{
    public RunSetup Setup { get; set; } = setup;

    public int Phase { get; set; }

    public int Epoch { get; set; }

    public long Step { get; set; }

    public double LossSum { get; set; }

    /// <summary>From 1; 0 for none.</summary>
    public int BestEpoch { get; set; }

    public double BestLoss { get; set; }

    public bool HasBestState { get; set; }

    public ImmutableArray<EpochResult>.Builder History { get; } = ImmutableArray.CreateBuilder<EpochResult>();

    public ImmutableArray<StatisticsDistance>.Builder Statistics { get; } =
        ImmutableArray.CreateBuilder<StatisticsDistance>();

    public long OptimizerSteps { get; set; }

    public List<(string Name, int Length)> Moments { get; } = [];

    public RunPosition With(
        NetworkState state, NetworkState? best, ImmutableSortedDictionary<string, ImmutableArray<float>> moments) =>
        new()
        {
            Phase = Phase,
            Epoch = Epoch,
            Step = Step,
            LossSum = LossSum,
            State = state,
            Optimizer = new OptimizerState(OptimizerSteps, moments),
            Best = BestEpoch == 0 ? null : new BestEpoch(BestEpoch, BestLoss, best),
            History = History.ToImmutable(),
            Statistics = Statistics.ToImmutable(),
        };
}
