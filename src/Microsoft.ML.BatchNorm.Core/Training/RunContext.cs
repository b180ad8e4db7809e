namespace Microsoft.ML.BatchNorm.Training;

/// <summary>What all phases of a run share.</summary>
sealed record RunContext(
    RunSetup Setup, RunData Data, ITrainingEngine Engine, IProgress<TrainingProgress>? Progress, TimeProvider Clock,
    CancellationToken Cancellation)
{
    public TrainingResult Run(RunPosition position)
    {
        if (Setup.Options.CheckpointPath is { } path)
            CheckpointFile.CheckFolder(path);
        while (true)
        {
            using var phase = new PhaseRun(this, position);
            (RunPosition end, NetworkState state) = phase.Run();
            if (end.Phase == Setup.Phases.Length - 1)
            {
                var checkpoint = new TrainingCheckpoint(Setup, end);
                return new TrainingResult(checkpoint, state, phase.StoppedEarly, phase.BestEpoch);
            }
            position = RunPosition.StartOf(end.Phase + 1, state, end.History, end.Statistics);
        }
    }
}
