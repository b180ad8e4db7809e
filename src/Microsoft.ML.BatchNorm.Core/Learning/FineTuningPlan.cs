using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The phases of a run, one after the other, each with a fresh optimizer, its schedule and early stopping begun anew,
/// and the parameters that the one before it ended with. An immutable value.
/// </summary>
public sealed class FineTuningPlan
{
    /// <summary>A plan of the given phases.</summary>
    /// <exception cref="ArgumentException">There is none, or two have the same name.</exception>
    public FineTuningPlan(params IEnumerable<TrainingPhase> phases)
    {
        Phases = [.. phases];
        if (Phases.IsEmpty)
            throw new ArgumentException("A plan must have a phase.", nameof(phases));
        if (Phases.GroupBy(phase => phase.Name).FirstOrDefault(group => group.Count() > 1) is { } twice)
            throw new ArgumentException($"Two phases have the name '{twice.Key}'.", nameof(phases));
    }

    /// <summary>The phases, in their order.</summary>
    public ImmutableArray<TrainingPhase> Phases { get; }
}
