using System.Collections.Immutable;
using Microsoft.ML.BatchNorm.Reports.Charts;
using Microsoft.ML.BatchNorm.Training;

namespace Microsoft.ML.BatchNorm.Reports.Training;

/// <summary>What a report tells of a run, finished or not.</summary>
/// <param name="Setup">The network, the options and the phases.</param>
/// <param name="History">The epochs that are over.</param>
/// <param name="Statistics">Their distances of moving statistics.</param>
/// <param name="State">What the network has learned.</param>
/// <param name="Result">How the run ended, or null where it has not.</param>
sealed record ReportedRun(
    RunSetup Setup, ImmutableArray<EpochResult> History, ImmutableArray<StatisticsDistance> Statistics,
    NetworkState State, TrainingResult? Result)
{
    /// <summary>The phases that have begun, by their epochs.</summary>
    public ImmutableArray<PhaseSpan> Spans { get; } = SpansOf(History);

    /// <summary>The best epoch over all phases, from 1, or 0 where none is known.</summary>
    public int Best => Result is not null && History is [.., { ValidationLoss: not null }]
        ? Spans[^1].First - 1 + Result.BestEpoch
        : 0;

    /// <summary>Whether the network has the parameters of the best epoch, not those of the last.</summary>
    public bool IsBestRestored => Best > 0 && Setup.Options.EarlyStopping is { RestoreBest: true };

    /// <summary>The place of an epoch among all, from 0, or -1.</summary>
    public int IndexOf(string phase, int epoch)
    {
        foreach (PhaseSpan span in Spans)
        {
            if (span.Name == phase)
                return span.First - 2 + epoch;
        }
        return -1;
    }

    static ImmutableArray<PhaseSpan> SpansOf(ImmutableArray<EpochResult> history)
    {
        var spans = ImmutableArray.CreateBuilder<PhaseSpan>();
        for (int i = 0; i < history.Length; i++)
        {
            if (spans.Count > 0 && spans[^1].Name == history[i].Phase)
                spans[^1] = spans[^1] with { Last = i + 1 };
            else
                spans.Add(new PhaseSpan(history[i].Phase, i + 1, i + 1));
        }
        return spans.ToImmutable();
    }
}
