using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>One phase of a run: a session and the loop of its epochs.</summary>
sealed class PhaseRun : IDisposable
{
    readonly RunContext context;
    readonly RunPhase phase;
    readonly TrainingOptions options;
    readonly ITrainingSession session;
    readonly Batches batches;
    readonly Evaluation evaluation;
    readonly EpochLosses losses;
    readonly ProgressTimer timer;
    readonly int phaseIndex;
    readonly NetworkNode[] moving;
    readonly bool recomputes;
    readonly ICollective? ranks;

    /// <summary>Whether several ranks have agreed to stop.</summary>
    bool isStopped;

    ImmutableArray<EpochResult> history;
    ImmutableArray<StatisticsDistance> statistics;
    BestEpoch? best;

    /// <summary>What the network of the last and of the best epoch predicts for the validation rows.</summary>
    Outcome? lastOutcome, bestOutcome;

    /// <summary>The state that the last epoch was measured with, if its statistics were recomputed for that.</summary>
    NetworkState? measured;

    /// <summary>The state that was last taken from the session, and the session's steps at that time.</summary>
    NetworkState taken;
    long takenSteps;

    long stepsBeforeEpoch;
    int epoch;
    long step;
    long stepsTaken;
    double learningRate;

    public PhaseRun(RunContext context, RunPosition from)
    {
        this.context = context;
        ranks = context.Ranks;
        phaseIndex = from.Phase;
        phase = context.Setup.Phases[phaseIndex];
        options = context.Setup.OptionsOf(phase);
        RowSet training = context.Data.Training;
        batches = new Batches(training.Count, options.BatchSize);
        evaluation = new Evaluation(phase.Network, options);
        moving = [.. phase.Network.Nodes.Where(node => node.MovesStatistics)];
        recomputes = options.RecomputeStatistics && moving.Length > 0;
        (epoch, step, best, taken) = (from.Epoch, from.Step, from.Best, from.State);
        (history, statistics) = (from.History, from.Statistics);
        session = context.Engine.Start(phase.Network, from.State, options, training.Data);
        try
        {
            if (from.Optimizer.Steps > 0)
                ranks.Do(() => session.SetOptimizerState(from.Optimizer));
        }
        catch
        {
            session.Dispose();
            throw;
        }
        takenSteps = session.Steps;
        losses = new EpochLosses(session, batches, from.Step, from.LossSum);
        timer = new ProgressTimer(context.Clock);
    }

    /// <summary>Whether early stopping has ended the phase.</summary>
    public bool StoppedEarly =>
        epoch < phase.Epochs
        && options.EarlyStopping is { } stopping && epoch - (best?.Epoch ?? 0) >= stopping.Patience;

    public int BestEpoch => best?.Epoch ?? epoch;

    /// <summary>
    /// What the network that the phase ends with predicts for the validation rows; null if this run has not measured
    /// it.
    /// </summary>
    public Outcome? Outcome => best?.State is null ? lastOutcome : bestOutcome;

    /// <summary>The rows of the epochs that ended here, and the time that they took, without validation.</summary>
    public (long Rows, TimeSpan Time) Trained => timer.Total;

    /// <summary>
    /// Runs the phase to its end. The position has the state of the last epoch, without recomputed statistics.
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
            canceled is not TrainingCanceledException && (context.IsCanceled || ranks is not null))
        {
            // The engine, or another rank, checked the token itself, during work that does not change the position.
            throw context.Canceled(Checkpoint());
        }
    }

    public void Dispose() => session.Dispose();

    /// <summary>Takes the remaining steps of the epoch, and returns the rows per second.</summary>
    double TrainEpoch()
    {
        timer.StartEpoch(batches.RowsBefore(step));
        stepsBeforeEpoch = session.Steps - step;
        var order = new EpochOrder(
            context.Data.Training, options.Shuffle, options.Seed, context.Setup.EpochsBefore(phaseIndex) + epoch);
        ReadOnlySpan<int> batch = [];
        if (step < batches.Count)
            session.Prefetch(batch = order[batches[step]]);
        while (step < batches.Count)
        {
            ThrowIfCanceled();
            // The first step takes longer, since its code is compiled.
            if (stepsTaken++ == 1)
                timer.LeaveOut(batches.RowsBefore(step));
            learningRate = LearningRateOf(step);
            if (ranks is null)
                session.TrainOnBatch(batch, learningRate);
            else
                isStopped = session.TrainOnBatch(batch, learningRate, wantsToStop: context.IsCanceled);
            step++;
            if (step < batches.Count)
                session.Prefetch(batch = order[batches[step]]);
            if (step == batches.Count || !timer.IsReportDue())
                continue;
            losses.Read(step);
            Report(Progress(timer.RowsPerSecond(batches.RowsBefore(step))));
        }
        losses.Read(batches.Count);
        return timer.EndEpoch(batches.Rows);
    }

    void EndEpoch(double rowsPerSecond)
    {
        ThrowIfCanceled();
        learningRate = LearningRateOf(batches.Count - 1);
        NetworkState trained = State();
        bool isMeasured = context.Data.Validation is not null || options.EvaluateTrainingData;
        measured = recomputes && isMeasured ? Recomputed() : null;
        EvaluationResult? validation = context.Data.Validation is { } rows ? Validate(rows) : null;
        double? metric = options.EvaluateTrainingData ? Evaluate(context.Data.Training).Metric : null;
        NetworkState? exact = measured;
        StatisticsDistance[] distances = options.RecordStatistics && moving.Length > 0
            ? [.. Distances(trained, exact ??= Recomputed())]
            : [];
        if (exact is not null)
            session.SetStatistics(trained);
        statistics = statistics.AddRange(distances);
        TrainingProgress progress = Progress(rowsPerSecond) with
        {
            ValidationLoss = validation?.Loss,
            Metric = metric,
            ValidationMetric = validation?.Metric,
            IsEndOfEpoch = true,
        };
        history = history.Add(new EpochResult
        {
            Phase = phase.Name,
            Epoch = progress.Epoch,
            Loss = progress.Loss,
            ValidationLoss = progress.ValidationLoss,
            Metric = metric,
            ValidationMetric = progress.ValidationMetric,
            LearningRate = learningRate,
        });
        epoch++;
        step = 0;
        losses.Restart();
        if (validation is not null)
            KeepIfBest(validation.Loss);
        if (ranks is not null)
            RankAgreement.CheckParameters(ranks, phase.Network, State(), epoch);
        ranks.Do(() =>
        {
            WriteCheckpoint();
            Report(progress);
        });
    }

    void WriteCheckpoint()
    {
        if (context.IsFirst && options.CheckpointPath is { } path)
            WholeFile.Write(path, Checkpoint().Save);
    }

    void Report(TrainingProgress progress)
    {
        if (context.IsFirst)
            context.Progress?.Report(progress);
    }

    EvaluationResult Validate(RowSet rows)
    {
        lastOutcome = new Outcome(options.Loss, phase.Network.OutputShape.Size, rows.Count);
        return Evaluate(rows, lastOutcome);
    }

    EvaluationResult Evaluate(RowSet rows, Outcome? outcome = null) =>
        evaluation.Of(session, rows, ranks, ranks is null ? ThrowIfCanceled : ThrowIfAsked, outcome);

    void KeepIfBest(double loss)
    {
        if (!(loss < (best?.Loss ?? double.PositiveInfinity) - (options.EarlyStopping?.MinimumImprovement ?? 0)))
            return;
        best = new BestEpoch(epoch, loss)
        {
            State = options.EarlyStopping is { RestoreBest: true } ? measured ?? State() : null,
        };
        bestOutcome = lastOutcome;
    }

    NetworkState Finish(RunPosition end) =>
        best?.State ?? (recomputes ? measured ?? Recomputed() : end.State);

    NetworkState Recomputed()
    {
        ThrowIfCanceled();
        session.RecomputeStatistics(context.Data.Training);
        return session.GetState();
    }

    /// <summary>One entry per layer whose statistics move in the phase, in the network's order.</summary>
    IEnumerable<StatisticsDistance> Distances(NetworkState trained, NetworkState exact) => moving.Select(node =>
        StatisticsDistance.Between(
            phase.Name, epoch + 1, node.Path, trained[node.Path].BatchNormalization!,
            exact[node.Path].BatchNormalization!, ((BatchNormalizationLayer)node.Layer).Options.EffectiveEpsilon));

    double LearningRateOf(long index) => phase.LearningRate
        * options.LearningRateSchedule.Factor(epoch * batches.Count + index, batches.Count, phase.Epochs);

    TrainingProgress Progress(double rowsPerSecond) => new()
    {
        Phase = phase.Name,
        Epoch = epoch + 1,
        Epochs = phase.Epochs,
        Step = step,
        StepsPerEpoch = batches.Count,
        Loss = losses.Mean,
        RowsPerSecond = rowsPerSecond,
        LearningRate = learningRate,
    };

    /// <summary>Throws on this rank alone; what calls it makes that an error of all.</summary>
    void ThrowIfAsked()
    {
        if (context.IsCanceled)
            throw new OperationCanceledException();
    }

    void ThrowIfCanceled()
    {
        if (!(ranks is null ? context.IsCanceled : isStopped))
            return;
        losses.Read(step);
        throw context.Canceled(Checkpoint());
    }

    TrainingCheckpoint Checkpoint() => new(context.Setup, Position());

    RunPosition Position() => new()
    {
        Phase = phaseIndex,
        Epoch = epoch,
        Step = step,
        LossSum = losses.Sum,
        State = State(),
        Optimizer = session.GetOptimizerState(),
        Best = best,
        History = history,
        Statistics = statistics,
    };

    /// <summary>The state after the last step; taken from the session once per step at most.</summary>
    NetworkState State()
    {
        if (takenSteps != session.Steps)
            (taken, takenSteps) = (session.GetState(), session.Steps);
        return taken;
    }

    NetworkState LastGoodState()
    {
        NetworkState state = session.GetState();
        return phase.Network.Fault(state) is null ? state : taken;
    }
}

/// <summary>Adds up the losses of an epoch's steps in order, as the session makes them available.</summary>
sealed class EpochLosses(ITrainingSession session, Batches batches, long firstStep, double firstSum)
{
    readonly double[] buffer = new double[256];
    long read = firstStep;

    /// <summary>The sum of each step's loss times its rows.</summary>
    public double Sum { get; private set; } = firstSum;

    /// <summary>The mean over the rows of the steps that were read.</summary>
    public double Mean => Sum / batches.RowsBefore(read);

    /// <summary>Reads the losses of all steps before <paramref name="step"/>.</summary>
    public void Read(long step)
    {
        while (read < step)
        {
            int count = session.ReadLosses(buffer);
            if (count == 0)
                throw new InvalidOperationException($"The engine has no loss for step {read + 1}.");
            for (int i = 0; i < count; i++)
                Sum += buffer[i] * batches.RowsIn(read++);
        }
    }

    public void Restart() => (read, Sum) = (0, 0);
}

/// <summary>
/// Says when the next progress report is due, and how many rows per second are trained on: over the current epoch, and
/// as many epochs before it as make up a fifth of a second.
/// </summary>
sealed class ProgressTimer(TimeProvider clock)
{
    static readonly TimeSpan interval = TimeSpan.FromMilliseconds(100), window = TimeSpan.FromMilliseconds(200);

    readonly Queue<(long Rows, TimeSpan Time)> earlier = new();
    long earlierRows, firstRow, start, reported;
    TimeSpan earlierTime;

    /// <summary>The rows of all epochs that have ended, and their time.</summary>
    public (long Rows, TimeSpan Time) Total { get; private set; }

    /// <summary>Starts an epoch after its first rows, which an earlier run trained on.</summary>
    public void StartEpoch(long rowsBefore)
    {
        LeaveOut(rowsBefore);
        reported = start;
    }

    /// <summary>The rows of the epoch so far do not count for its speed, nor does their time.</summary>
    public void LeaveOut(long rows)
    {
        firstRow = rows;
        start = clock.GetTimestamp();
    }

    public bool IsReportDue()
    {
        long now = clock.GetTimestamp();
        if (clock.GetElapsedTime(reported, now) < interval)
            return false;
        reported = now;
        return true;
    }

    public double RowsPerSecond(long rows) => RowsPerSecond(rows - firstRow, clock.GetElapsedTime(start));

    /// <summary>Ends the epoch, and returns its rows per second.</summary>
    public double EndEpoch(long rows)
    {
        TimeSpan time = clock.GetElapsedTime(start);
        double rate = RowsPerSecond(rows - firstRow, time);
        Total = (Total.Rows + rows - firstRow, Total.Time + time);
        earlier.Enqueue((rows - firstRow, time));
        earlierRows += rows - firstRow;
        earlierTime += time;
        return rate;
    }

    double RowsPerSecond(long rows, TimeSpan time)
    {
        while (earlier.TryPeek(out var oldest) && time + earlierTime - oldest.Time >= window)
        {
            earlier.Dequeue();
            earlierRows -= oldest.Rows;
            earlierTime -= oldest.Time;
        }
        double seconds = (time + earlierTime).TotalSeconds;
        return seconds > 0 ? (rows + earlierRows) / seconds : 0;
    }
}
