using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>What does not change during a run: network, options, and the phases with their switches.</summary>
/// <param name="Network">The network that the run was given.</param>
/// <param name="Options">The options that the run was given.</param>
/// <param name="Phases">At least one phase.</param>
/// <param name="DataChecksum">The checksum of all rows, so that a run is not resumed on other rows.</param>
sealed record RunSetup(Network Network, TrainingOptions Options, ImmutableArray<RunPhase> Phases, uint DataChecksum)
{
    /// <summary>The same setup with another number of epochs in the last phase.</summary>
    public RunSetup WithEpochs(int epochs) => this with
    {
        Options = Options with { Epochs = epochs },
        Phases = Phases.SetItem(Phases.Length - 1, Phases[^1] with { Epochs = epochs }),
    };

    /// <summary>The same setup with every network changed.</summary>
    public RunSetup With(Func<Network, Network> change) => this with
    {
        Network = change(Network),
        Phases = [.. Phases.Select(phase => phase with { Network = change(phase.Network) })],
    };

    /// <summary>The planned epochs of all phases before this one.</summary>
    public long EpochsBefore(int phase) => Phases.Take(phase).Sum(earlier => (long)earlier.Epochs);

    /// <summary>The options of a phase's session.</summary>
    public TrainingOptions OptionsOf(RunPhase phase) => Options with
    {
        Epochs = phase.Epochs,
        Optimizer = Options.Optimizer with { LearningRate = phase.LearningRate },
    };
}

/// <summary>A phase, with its network: the run's network with the phase's switches.</summary>
sealed record RunPhase(string Name, int Epochs, double LearningRate, Network Network)
{
    public static ImmutableArray<RunPhase> Of(Network network, TrainingOptions options, FineTuningPlan? plan) =>
        plan is null
            ? [new RunPhase("", options.Epochs, options.Optimizer.LearningRate, network)]
            : [.. plan.Phases.Select(phase => Of(network, phase))];

    /// <exception cref="ArgumentException">
    /// The phase's network differs from the run's in more than switches.
    /// </exception>
    public void CheckSameLayers(Network given)
    {
        if (!Network.InputShape.Equals(given.InputShape)
            || !Network.Nodes.Select(Place).SequenceEqual(given.Nodes.Select(Place)))
            throw new ArgumentException($"Phase '{Name}' changes the layers themselves, not their switches alone.");

        static (string Path, string Kind, string Inputs, TensorShape Output, ImmutableArray<byte>? Module) Place(
            NetworkNode node) =>
            (node.Path, node.Layer.Kind, string.Join(' ', node.Inputs), node.Output,
                (node.Layer as TorchScriptLayer)?.Module);
    }

    /// <exception cref="ArgumentException">
    /// Nothing in the network trains, or a batch normalization would give β for any input.
    /// </exception>
    public void CheckTrains(Batches batches)
    {
        string phase = Name.Length == 0 ? "the network" : $"the network of phase '{Name}'";
        if (!Network.Nodes.Any(node => node.TrainableCount > 0 || node.MovesStatistics))
            throw new ArgumentException(
                $"Nothing in {phase} trains: every layer that could is frozen (Freeze, Trainable), or a batch "
                + "normalization with UpdateStatistics and TrainAffine off. Unfreeze a layer.");
        if (Network.Nodes.FirstOrDefault(node => HasSingleValues(node, (int)batches.RowsIn(0))) is { } single)
            throw new ArgumentException(
                (batches.Rows == 1 ? "There is 1 row to train on: layer" : "Layer")
                + $" '{single.Path}' of {phase} gets a single value per channel to normalize, and would give β for any "
                + $"value. {(batches.Rows == 1 ? "Add rows" : "Take a greater BatchSize or VirtualBatchSize")}, or "
                + "freeze the layer.");
    }

    /// <summary>Renormalization is an exception: its output depends on the moving statistics.</summary>
    static bool HasSingleValues(NetworkNode node, int rows) =>
        node.Layer is BatchNormalizationLayer { Options: { Renorm: null } options } layer
        && options.UsesBatchStatistics(training: true)
        && (long)Math.Min(rows, options.VirtualBatchSize ?? rows) * node.Input.Size == layer.Channels(node.Input);

    static RunPhase Of(Network given, TrainingPhase phase)
    {
        Network network = phase.Switches(given)
            ?? throw new ArgumentException($"The switches of phase '{phase.Name}' give no network.");
        var run = new RunPhase(phase.Name, phase.Epochs, phase.LearningRate, network);
        run.CheckSameLayers(given);
        for (int i = 0; i < given.Nodes.Count; i++)
        {
            if (!given.Nodes[i].Layer.Trainable && network.Nodes[i].Layer.Trainable)
                throw new ArgumentException(
                    $"Phase '{phase.Name}' unfreezes '{given.Nodes[i].Path}', "
                    + "which is frozen in the network that was given.");
        }
        return run;
    }
}

/// <summary>The rows of a run.</summary>
/// <param name="Training">The rows to train on.</param>
/// <param name="Validation">The rows to validate with; null for none.</param>
/// <param name="Checksum">The checksum of all rows.</param>
sealed record RunData(RowSet Training, RowSet? Validation, uint Checksum)
{
    /// <summary>Reads and checks the rows.</summary>
    /// <param name="ranks">The ranks that have shares of them; null for one.</param>
    /// <param name="data">The rows to train on.</param>
    /// <param name="validation">The rows to validate with; null for a split.</param>
    /// <param name="network">The network.</param>
    /// <param name="options">The options of the run.</param>
    /// <param name="check">Called before each part is read; it may throw.</param>
    /// <exception cref="ArgumentException">Data and options do not fit the network or each other.</exception>
    public static RunData Of(
        ICollective? ranks, TrainingData data, TrainingData? validation, Network network, TrainingOptions options,
        Action check)
    {
        (RowShares? shares, RowShares? validationShares) = RankAgreement.SharesOf(ranks, data, validation);
        (RowSet training, RowSet? held) = ranks.Do(() =>
        {
            data.Inspect(check, shares);
            validation?.Inspect(check, validationShares);
            return Sets(data, validation, network, options, shares, validationShares);
        });
        return new RunData(
            training, held, RowChecksum.Of(ranks, (data, shares), (validation, validationShares)));
    }

    static (RowSet Training, RowSet? Validation) Sets(
        TrainingData data, TrainingData? validation, Network network, TrainingOptions options, RowShares? shares,
        RowShares? validationShares)
    {
        data.CheckFits(network, options.Loss);
        validation?.CheckFits(network, options.Loss);
        (RowSet training, RowSet? held) = RowSet.Split(
            data, validation is null ? options.ValidationSplit : 0, options.Seed, shares);
        if (validation is not null)
            held = new RowSet(validation, validationShares);
        if (options.EarlyStopping is not null && held is null)
            throw new ArgumentException("EarlyStopping needs validation data, or a ValidationSplit.", nameof(options));
        TrainingOptions.CheckClassWeights(options, network.OutputShape.Size);
        if (shares is not null && (held is not null || options.EvaluateTrainingData)
            && network.Nodes.FirstOrDefault(
                node => node.Layer is BatchNormalizationLayer { Options.TrackMovingStatistics: false }) is { } untracked)
            throw new NotSupportedException(
                $"Layer '{untracked.Path}' has no moving statistics, and several processes cannot measure the network "
                + "without. Leave validation and EvaluateTrainingData out.");
        return (training, held);
    }
}

/// <summary>What all phases of a run share.</summary>
/// <param name="Setup">The run's network, options and phases.</param>
/// <param name="Data">The rows.</param>
/// <param name="Engine">The engine that trains.</param>
/// <param name="Progress">Receives the progress; or null.</param>
/// <param name="Clock">Measures the speed of the run.</param>
/// <param name="Cancellation">Cancels the run.</param>
/// <param name="IsAskedToCancel">
/// Whether a caller who cannot cancel a token wants to cancel the run; null for a caller with a token.
/// </param>
sealed record RunContext(
    RunSetup Setup, RunData Data, ITrainingEngine Engine, IProgress<TrainingProgress>? Progress, TimeProvider Clock,
    CancellationToken Cancellation, Func<bool>? IsAskedToCancel = null)
{
    /// <summary>The ranks that train together; null for one.</summary>
    public ICollective? Ranks { get; } = Engine.Collective.IfSeveral();

    /// <summary>Whether this rank writes and reports what all have in common.</summary>
    public bool IsFirst => Ranks is null or { Rank: 0 };

    public bool IsCanceled => Cancellation.IsCancellationRequested || IsAskedToCancel?.Invoke() == true;

    public TrainingResult Run(RunPosition position)
    {
        if (Ranks is not null)
            RankAgreement.CheckStart(Ranks, Setup, position, Engine.ToString()!);
        Ranks.Do(CheckFolder);
        long start = Clock.GetTimestamp(), rows = 0;
        TimeSpan time = default;
        while (true)
        {
            using var phase = new PhaseRun(this, position);
            (RunPosition end, NetworkState state) = phase.Run();
            (rows, time) = (rows + phase.Trained.Rows, time + phase.Trained.Time);
            if (end.Phase == Setup.Phases.Length - 1)
            {
                var checkpoint = new TrainingCheckpoint(Setup, end);
                var (confusion, predictions) = phase.Outcome?.OfAll(Ranks) ?? ([], []);
                return new TrainingResult(checkpoint, state, phase.StoppedEarly, phase.BestEpoch)
                {
                    TrainingRows = Data.Training.Count,
                    ValidationRows = Data.Validation?.Count ?? 0,
                    Ended = Clock.GetUtcNow(),
                    Duration = Clock.GetElapsedTime(start),
                    RowsPerSecond = time > TimeSpan.Zero ? rows / time.TotalSeconds : 0,
                    Confusion = confusion,
                    ValidationPredictions = predictions,
                };
            }
            position = RunPosition.StartOf(end.Phase + 1, state, end.History, end.Statistics);
        }
    }

    void CheckFolder()
    {
        if (!IsFirst || Setup.Options.CheckpointPath is not { } path)
            return;
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        if (!Directory.Exists(folder))
            throw new DirectoryNotFoundException($"CheckpointPath is in a folder that does not exist: '{folder}'.");
    }

    public TrainingCanceledException Canceled(TrainingCheckpoint checkpoint) => new(
        checkpoint, Cancellation.IsCancellationRequested ? Cancellation : CancellationToken.None);
}
