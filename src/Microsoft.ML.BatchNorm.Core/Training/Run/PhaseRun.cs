using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.Training;

/// <summary>One phase of a run: a session, and the loop around it.</summary>
sealed class PhaseRun : IDisposable
{
    readonly RunContext context;
    readonly RunPhase phase;
    readonly TrainingOptions options;
    readonly ITrainingSession session;
    readonly Batches batches;
    readonly Evaluation evaluation;
    readonly EpochLosses losses;
    readonly Pace pace;
    readonly int phaseIndex;
    readonly NetworkNode[] moving;
    readonly bool recomputes;
    ImmutableArray<EpochResult> history;
    ImmutableArray<StatisticsDistance> statistics;
    BestEpoch? best;
    NetworkState known;

    /// <summary>What the run would end with after the last epoch, if that epoch was measured with it.</summary>
    NetworkState? delivered;

    long knownSteps, stepsBeforeEpoch;
    int epoch;
    long step;
    double rate;

    public PhaseRun(RunContext context, RunPosition from)
    {
        this.context = context;
        phaseIndex = from.Phase;
        phase = context.Setup.Phases[phaseIndex];
        options = context.Setup.OptionsOf(phase);
        batches = new Batches(context.Data.Training.Count, options.BatchSize);
        evaluation = new Evaluation(phase.Network, options);
        moving = [.. phase.Network.Nodes.Where(node => node.MovesStatistics)];
        recomputes = options.RecomputeStatistics && moving.Length > 0;
        (epoch, step, best, known) = (from.Epoch, from.Step, from.Best, from.State);
        (history, statistics) = (from.History, from.Statistics);
        session = context.Engine.Start(phase.Network, from.State, options, context.Data.Data);
        try
        {
            if (from.Optimizer.Steps > 0)
                session.SetOptimizerState(from.Optimizer);
        }
        catch
        {
            session.Dispose();
            throw;
        }
        knownSteps = session.Steps;
        losses = new EpochLosses(session, batches, from.Step, from.LossSum);
        pace = new Pace(context.Clock);
    }

    /// <summary>Whether early stopping has ended the phase.</summary>
    public bool StoppedEarly =>
        epoch < phase.Epochs
        && options.EarlyStopping is { } stopping && epoch - (best?.Epoch ?? 0) >= stopping.Patience;

    public int BestEpoch => best?.Epoch ?? epoch;

    /// <summary>
    /// Runs to the phase's end. The position has the last epoch's state, whose statistics are not recomputed.
    /// </summary>
    public (RunPosition End, NetworkState State) Run()
    {
        try
        {
            while (epoch < phase.Epochs && !StoppedEarly)
                EndEpoch(TrainEpoch());
            RunPosition end = Position();
            return (end, Finish(end));
        }
        catch (TrainingDivergedException diverged) when (diverged.Epoch == 0)
        {
            throw new TrainingDivergedException(
                diverged.Layer, epoch + 1, session.Steps - stepsBeforeEpoch + 1, LastGoodState(), diverged);
        }
        catch (OperationCanceledException canceled) when (
            canceled is not TrainingCanceledException && context.Cancellation.IsCancellationRequested)
        {
            // By an engine that looks at the token itself, in work that is not a step and has changed no position.
            throw new TrainingCanceledException(Checkpoint(), context.Cancellation);
        }
    }

    public void Dispose() => session.Dispose();

    /// <summary>Takes the epoch's steps that are left; gives the rows a second.</summary>
    double TrainEpoch()
    {
        pace.StartEpoch(batches.RowsBefore(step));
        stepsBeforeEpoch = session.Steps - step;
        EpochOrder order = context.Data.Order(options, context.Setup.EpochsBefore(phaseIndex) + epoch);
        ReadOnlySpan<int> batch = [];
        if (step < batches.Count)
            session.Prefetch(batch = order[batches[step]]);
        while (step < batches.Count)
        {
            ThrowIfCanceled();
            session.TrainOnBatch(batch, rate = RateOf(step));
            step++;
            if (step < batches.Count)
                session.Prefetch(batch = order[batches[step]]);
            if (step == batches.Count || !pace.IsReportDue())
                continue;
            losses.Read(step);
            context.Progress?.Report(Progress());
        }
        losses.Read(batches.Count);
        return pace.EndEpoch(batches.Rows);
    }

    void EndEpoch(double rowsPerSecond)
    {
        ThrowIfCanceled();
        rate = RateOf(batches.Count - 1);
        NetworkState trained = Known();
        bool isMeasured = context.Data.Validation is not null || options.EvaluateTrainingData;
        delivered = recomputes && isMeasured ? Recomputed() : null;
        EvaluationResult? validation = context.Data.Validation is { } rows ? evaluation.Of(session, rows) : null;
        double? metric = options.EvaluateTrainingData ? evaluation.Of(session, context.Data.Training).Metric : null;
        NetworkState? exact = delivered;
        StatisticsDistance[] distances = options.RecordStatistics && moving.Length > 0
            ? [.. Distances(trained, exact ??= Recomputed())]
            : [];
        if (exact is not null)
            session.SetStatistics(trained);
        statistics = statistics.AddRange(distances);
        var result = new EpochResult
        {
            Phase = phase.Name,
            Epoch = epoch + 1,
            Loss = losses.Mean,
            ValidationLoss = validation?.Loss,
            Metric = metric,
            ValidationMetric = validation?.Metric,
            LearningRate = rate,
        };
        history = history.Add(result);
        epoch++;
        step = 0;
        losses.Restart();
        if (validation is not null)
            KeepIfBest(validation.Loss);
        if (options.CheckpointPath is { } path)
            CheckpointFile.Write(path, Checkpoint());
        context.Progress?.Report(new TrainingProgress
        {
            Phase = phase.Name,
            Epoch = epoch,
            Epochs = phase.Epochs,
            Step = batches.Count,
            StepsPerEpoch = batches.Count,
            Loss = result.Loss,
            ValidationLoss = result.ValidationLoss,
            Metric = metric,
            ValidationMetric = result.ValidationMetric,
            RowsPerSecond = rowsPerSecond,
            LearningRate = rate,
            IsEndOfEpoch = true,
        });
    }

    void KeepIfBest(double loss)
    {
        if (!(loss < (best?.Loss ?? double.PositiveInfinity) - (options.EarlyStopping?.MinimumImprovement ?? 0)))
            return;
        best = new BestEpoch(epoch, loss)
        {
            State = options.EarlyStopping is { RestoreBest: true } ? delivered ?? Known() : null,
        };
    }

    NetworkState Finish(RunPosition end) =>
        best?.State ?? (recomputes ? delivered ?? Recomputed() : end.State);

    NetworkState Recomputed()
    {
        session.RecomputeStatistics(context.Data.Training);
        return session.GetState();
    }

    /// <summary>One entry per layer whose statistics move in the phase, in the network's order.</summary>
    IEnumerable<StatisticsDistance> Distances(NetworkState trained, NetworkState exact) => moving.Select(node =>
        StatisticsDistance.Between(
            phase.Name, epoch + 1, node.Path, trained[node.Path].BatchNormalization!,
            exact[node.Path].BatchNormalization!, ((BatchNormalizationLayer)node.Layer).Options.EffectiveEpsilon));

    double RateOf(long index) => phase.LearningRate
        * options.LearningRateSchedule.Factor(epoch * batches.Count + index, batches.Count, phase.Epochs);

    TrainingProgress Progress() => new()
    {
        Phase = phase.Name,
        Epoch = epoch + 1,
        Epochs = phase.Epochs,
        Step = step,
        StepsPerEpoch = batches.Count,
        Loss = losses.Mean,
        RowsPerSecond = pace.RowsPerSecond(batches.RowsBefore(step)),
        LearningRate = rate,
    };

    void ThrowIfCanceled()
    {
        if (!context.Cancellation.IsCancellationRequested)
            return;
        losses.Read(step);
        throw new TrainingCanceledException(Checkpoint(), context.Cancellation);
    }

    TrainingCheckpoint Checkpoint() => new(context.Setup, Position());

    RunPosition Position() => new()
    {
        Phase = phaseIndex,
        Epoch = epoch,
        Step = step,
        LossSum = losses.Sum,
        State = Known(),
        Optimizer = session.GetOptimizerState(),
        Best = best,
        History = history,
        Statistics = statistics,
    };

    /// <summary>The state now; fetched once a step at most.</summary>
    NetworkState Known()
    {
        if (knownSteps != session.Steps)
            (known, knownSteps) = (session.GetState(), session.Steps);
        return known;
    }

    NetworkState LastGoodState()
    {
        NetworkState state = session.GetState();
        return phase.Network.Fault(state) is null ? state : known;
    }
}
