using System.Diagnostics.Contracts;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Trains networks: epochs, the order of rows, validation, early stopping, learning rates, progress, cancellation and
/// checkpoints. An <see cref="ITrainingEngine"/> does the arithmetic.
/// </summary>
/// <remarks>
/// <para>
/// On <see cref="CpuEngine"/> the same arguments give the same bits, on any number of threads, and whether the run is
/// uninterrupted or canceled at any step and resumed.
/// </para>
/// <para>
/// The order of an epoch depends only on <see cref="TrainingOptions.Seed"/> and the number of the epoch. With
/// <see cref="TrainingOptions.RecomputeStatistics"/> a run (each phase of a plan) ends by recomputing the statistics,
/// and what an epoch measures in inference mode (validation, metrics, the best epoch) is measured with the statistics
/// that the run would end with there. Training itself goes on with the moving statistics.
/// </para>
/// <para>
/// Rows in memory and rows from a <see cref="TrainingData.Source"/> give the same bits. Rows from a source are read
/// once before the first step; a cancellation at that time is a plain <see cref="OperationCanceledException"/>.
/// </para>
/// <para>
/// With an engine that has a <see cref="ITrainingEngine.Collective"/>, every rank calls with the same network,
/// parameters and options and with its own rows, and gets the same result, to the bit. A run is canceled on all ranks
/// after the step at which one rank asks for it, and an error on one rank is an error on all. Rank 0 alone reports
/// progress and writes checkpoints. A run can be resumed on another number of ranks: rows that
/// <see cref="TrainingData.Share"/> has cut are the same rows for any number.
/// </para>
/// </remarks>
public static class NetworkTrainer
{
    /// <summary>Trains a network with its switches as they are.</summary>
    /// <param name="network">The network.</param>
    /// <param name="state">The parameters to begin with.</param>
    /// <param name="data">The rows to train on.</param>
    /// <param name="options">How to train.</param>
    /// <param name="validation">
    /// The rows to validate with; null for <see cref="TrainingOptions.ValidationSplit"/> of <paramref name="data"/>.
    /// </param>
    /// <param name="engine">The engine that trains; null for a <see cref="CpuEngine"/>.</param>
    /// <param name="progress">Receives the progress on the thread that trains, which is the caller's.</param>
    /// <param name="cancellationToken">Checked before every step, and before every part of a validation.</param>
    /// <exception cref="ArgumentException">
    /// State, data or options do not fit the network or each other; nothing in the network trains; or a batch
    /// normalization in training mode gets a single value per channel, so that its every output would be β.
    /// </exception>
    /// <exception cref="InvalidDataException">A feature is not finite where that is an error.</exception>
    /// <exception cref="TrainingDivergedException">
    /// A loss or gradient is not finite. The exception has the last good state.
    /// </exception>
    /// <exception cref="TrainingCanceledException">
    /// The run was canceled. The exception has the state and a checkpoint.
    /// </exception>
    /// <exception cref="IOException">
    /// The file at <see cref="TrainingOptions.CheckpointPath"/> cannot be written, or a row cannot be read from its
    /// source.
    /// </exception>
    public static TrainingResult Train(
        Network network, NetworkState state, TrainingData data, TrainingOptions options,
        TrainingData? validation = null, ITrainingEngine? engine = null, IProgress<TrainingProgress>? progress = null,
        CancellationToken cancellationToken = default) =>
        Start(
            network, state, data, options, null, validation, engine, progress, TimeProvider.System, cancellationToken);

    /// <summary>
    /// Trains a network phase by phase. The plan's epochs and learning rates replace those of the options. The network
    /// of the result has the switches that it was given with.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="state">The parameters to begin with.</param>
    /// <param name="data">The rows to train on.</param>
    /// <param name="options">How to train.</param>
    /// <param name="plan">The phases.</param>
    /// <param name="validation">
    /// The rows to validate with; null for <see cref="TrainingOptions.ValidationSplit"/> of <paramref name="data"/>.
    /// </param>
    /// <param name="engine">The engine that trains; null for a <see cref="CpuEngine"/>.</param>
    /// <param name="progress">Receives the progress on the thread that trains, which is the caller's.</param>
    /// <param name="cancellationToken">Checked before every step, and before every part of a validation.</param>
    /// <exception cref="ArgumentException">
    /// State, data, options or a phase do not fit the network or each other; nothing trains in a phase; or a batch
    /// normalization in training mode gets a single value per channel, so that its every output would be β.
    /// </exception>
    /// <exception cref="InvalidDataException">A feature is not finite where that is an error.</exception>
    /// <exception cref="TrainingDivergedException">
    /// A loss or gradient is not finite. The exception has the last good state.
    /// </exception>
    /// <exception cref="TrainingCanceledException">
    /// The run was canceled. The exception has the state and a checkpoint.
    /// </exception>
    /// <exception cref="IOException">
    /// The file at <see cref="TrainingOptions.CheckpointPath"/> cannot be written, or a row cannot be read from its
    /// source.
    /// </exception>
    public static TrainingResult Train(
        Network network, NetworkState state, TrainingData data, TrainingOptions options, FineTuningPlan plan,
        TrainingData? validation = null, ITrainingEngine? engine = null, IProgress<TrainingProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(plan);
        return Start(
            network, state, data, options, plan, validation, engine, progress, TimeProvider.System, cancellationToken);
    }

    /// <summary>Continues a run from a checkpoint. It ends with the same bits as an uninterrupted run.</summary>
    /// <param name="checkpoint">Where the run stands.</param>
    /// <param name="data">The same rows as before.</param>
    /// <param name="validation">The same rows as before, or null as before.</param>
    /// <param name="engine">The engine that trains. Only the same kind of engine as before gives the same bits.</param>
    /// <param name="progress">Receives the progress on the thread that trains, which is the caller's.</param>
    /// <param name="cancellationToken">Checked before every step, and before every part of a validation.</param>
    /// <exception cref="ArgumentException">
    /// The data is not the checkpoint's, or the checkpoint is of ML.NET's regression trainer.
    /// </exception>
    /// <exception cref="TrainingDivergedException">
    /// A loss or gradient is not finite. The exception has the last good state.
    /// </exception>
    /// <exception cref="TrainingCanceledException">
    /// The run was canceled. The exception has the state and a checkpoint.
    /// </exception>
    /// <exception cref="IOException">
    /// The file at <see cref="TrainingOptions.CheckpointPath"/> cannot be written, or a row cannot be read from its
    /// source.
    /// </exception>
    public static TrainingResult Resume(
        TrainingCheckpoint checkpoint, TrainingData data, TrainingData? validation = null,
        ITrainingEngine? engine = null, IProgress<TrainingProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        ArgumentNullException.ThrowIfNull(data);
        RunSetup setup = checkpoint.Setup;
        engine ??= new CpuEngine();
        ICollective? ranks = engine.Collective.IfSeveral();
        // As many messages as Start has: if some ranks start a run and others resume one, CheckStart says so.
        ranks.Do(() =>
        {
            if (setup.Options.StandardizesTargets)
                throw new ArgumentException(
                    "The checkpoint is of ML.NET's regression trainer, which trains on standardized labels: go on from "
                    + "its State, or from a model with Fit(rows, model).", nameof(checkpoint));
        });
        RunData rows = RunData.Of(
            ranks, data, validation, setup.Network, setup.Options, cancellationToken.ThrowIfCancellationRequested);
        ranks.Do(() =>
        {
            if (rows.Checksum != setup.DataChecksum)
                throw new ArgumentException(
                    $"The checkpoint is of a run on other rows: their checksum is {setup.DataChecksum:x8}, "
                    + $"this data's {rows.Checksum:x8}.", nameof(data));
        });
        return new RunContext(setup, rows, engine, progress, TimeProvider.System, cancellationToken)
            .Run(checkpoint.Position);
    }

    /// <summary>
    /// Measures loss and metric of a network on rows, in inference mode, as a run does with its validation rows.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="state">Its parameters; they do not change.</param>
    /// <param name="data">The rows, which count by their weights.</param>
    /// <param name="loss">The loss to measure, which also determines the metric.</param>
    /// <param name="engine">The engine that predicts; null for a <see cref="CpuEngine"/>.</param>
    /// <exception cref="ArgumentException">The state or the data do not fit the network, or each other.</exception>
    /// <exception cref="InvalidDataException">A feature is not finite where that is an error.</exception>
    /// <exception cref="NotSupportedException">
    /// The engine cannot run one of the layers; the message names the layer.
    /// </exception>
    public static EvaluationResult Evaluate(
        Network network, NetworkState state, TrainingData data, Loss loss, ITrainingEngine? engine = null)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(loss);
        engine ??= new CpuEngine();
        ICollective? ranks = engine.Collective.IfSeveral();
        ranks.Do(() =>
        {
            network.CheckState(state);
            data.CheckFits(network, loss);
        });
        var options = new TrainingOptions { Loss = loss };
        using ITrainingSession session = engine.Start(network, state, options, data);
        return new Evaluation(network, options).Of(
            session, new RowSet(data, RankAgreement.SharesOf(ranks, data, null).Training), ranks);
    }

    /// <summary>
    /// Replaces the moving statistics of every batch normalization that trains by the exact ones of the given rows,
    /// layer after layer, as <see cref="TrainingOptions.RecomputeStatistics"/> does at the end of a run. The rows need
    /// no targets, so that a network can follow new data that is not labelled.
    /// </summary>
    /// <param name="network">
    /// The network. Layers whose switches stop their statistics keep them: give
    /// <c>network.Unfreeze("base/*")</c> to name frozen ones that shall move.
    /// </param>
    /// <param name="state">Its parameters; they do not change.</param>
    /// <param name="features">Row after row, as many values each as the network has inputs; at least one row.</param>
    /// <param name="engine">The engine that computes; null for a <see cref="CpuEngine"/>.</param>
    /// <returns>The state with the new statistics. Kernels, biases, γ and β are those of before.</returns>
    /// <exception cref="ArgumentException">
    /// The state or the features do not fit the network, or the switches let no statistics move.
    /// </exception>
    /// <exception cref="InvalidDataException">
    /// A feature is not finite where that is an error, or a channel has a single value and the options ask for the
    /// sample variance.
    /// </exception>
    /// <exception cref="NotSupportedException">
    /// The engine cannot run one of the layers; the message names the layer.
    /// </exception>
    [Pure]
    public static NetworkState RecomputeStatistics(
        Network network, NetworkState state, ReadOnlyMemory<float> features, ITrainingEngine? engine = null)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(state);
        return Recompute(network, state, () => TrainingData.WithoutTargets(network, features), engine);
    }

    /// <summary>
    /// Moves the statistics of every batch normalization that trains part of the way to the exact ones of the given
    /// rows, layer after layer: each layer's rows are what the layers before it give with their new statistics. So a
    /// network can serve rows of two kinds, or follow few rows without forgetting what it knows. The rows need no
    /// targets.
    /// </summary>
    /// <param name="network">
    /// The network. Layers whose switches stop their statistics keep them: give
    /// <c>network.Unfreeze("base/*")</c> to name frozen ones that shall move.
    /// </param>
    /// <param name="state">Its parameters; they do not change.</param>
    /// <param name="features">Row after row, as many values each as the network has inputs; at least one row.</param>
    /// <param name="weight">
    /// The share w of the new rows, from 0 to 1. Null to weigh both sides by their numbers of values, which the state
    /// must know from <see cref="MovingStatistics.Population"/>. Default: null.
    /// </param>
    /// <param name="engine">The engine that computes; null for a <see cref="CpuEngine"/>.</param>
    /// <returns>The state with the new statistics. Kernels, biases, γ and β are those of before.</returns>
    /// <remarks>
    /// The result has the mean and the variance of the mixture of both distributions: <c>(1 − w)m + wμ</c> and
    /// <c>(1 − w)v + wσ² + w(1 − w)(μ − m)²</c>. The last term is what distinguishes it from a step of an exponential
    /// average: rows of which some lie around m and some around μ also vary by the distance of the two. By numbers of
    /// values, it is exactly what recomputing on all rows together would give for the first layer. A pass is made over
    /// the rows for each layer.
    /// </remarks>
    /// <exception cref="ArgumentException">
    /// The state or the features do not fit the network, the switches let no statistics move, or the weight is null and
    /// a layer does not know how many values its statistics are of.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The weight is not from 0 to 1.</exception>
    /// <exception cref="InvalidDataException">
    /// A feature is not finite where that is an error, or a channel has a single value and the options ask for the
    /// sample variance.
    /// </exception>
    /// <exception cref="NotSupportedException">
    /// The engine cannot run one of the layers; the message names the layer.
    /// </exception>
    [Pure]
    public static NetworkState MergeStatistics(
        Network network, NetworkState state, ReadOnlyMemory<float> features, double? weight = null,
        ITrainingEngine? engine = null)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(state);
        return Merge(
            network, state, () => TrainingData.WithoutTargets(network, features), weight, engine);
    }

    internal static NetworkState Merge(
        Network network, NetworkState state, Func<TrainingData> rows, double? weight, ITrainingEngine? engine,
        Action? check = null)
    {
        if (weight is { } share)
            Check.Share(share, nameof(weight));
        network.CheckState(state);
        string[] moving = [.. network.Nodes.Where(node => node.MovesStatistics).Select(node => node.Path)];
        if (moving.Length == 0)
            throw NothingMoves();
        if (weight is null && moving.FirstOrDefault(
            path => state[path].BatchNormalization!.GetPopulation() is null) is { } unknown)
            throw new ArgumentException(
                $"The statistics of layer '{unknown}' do not know of how many values they are: give a weight, or "
                + "recompute them once on the rows of the training.", nameof(weight));
        foreach (string path in moving)
        {
            Network alone = moving.Length == 1
                ? network
                : network.WithBatchNormalization(
                    options => options with { UpdateStatistics = false },
                    [.. moving.Where(other => other != path)]);
            NetworkState exact = Recompute(alone, state, rows, engine, check);
            state = state.With(path, new LayerState(state[path].BatchNormalization!.Mixed(
                exact[path].BatchNormalization!, weight, NormalizationOf(network, path).EffectiveVarianceConvention)));
        }
        return state;
    }

    internal static NetworkState Recompute(
        Network network, NetworkState state, Func<TrainingData> rows, ITrainingEngine? engine, Action? check = null)
    {
        engine ??= new CpuEngine();
        ICollective? ranks = engine.Collective.IfSeveral();
        TrainingData data = ranks.Do(() =>
        {
            network.CheckState(state);
            TrainingData data = rows();
            if (!network.Nodes.Any(node => node.MovesStatistics))
                throw NothingMoves();
            return data;
        });
        check?.Invoke();
        using ITrainingSession session = engine.Start(network, state, new TrainingOptions(), data);
        session.RecomputeStatistics(new RowSet(data, RankAgreement.SharesOf(ranks, data, null).Training));
        return session.GetState();
    }

    static BatchNormalizationOptions NormalizationOf(Network network, string path) =>
        ((BatchNormalizationLayer)network.GetNode(path).Layer).Options;

    static ArgumentException NothingMoves() => new(
        "No statistics of the network move: it has no batch normalization, or Trainable or UpdateStatistics is false "
        + "for all of them. Unfreeze those to recompute.", "network");

    internal static TrainingResult Start(
        Network network, NetworkState state, TrainingData data, TrainingOptions options, FineTuningPlan? plan,
        TrainingData? validation, ITrainingEngine? engine, IProgress<TrainingProgress>? progress,
        TimeProvider clock, CancellationToken cancellationToken, Func<bool>? isAskedToCancel = null)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(options);
        engine ??= new CpuEngine();
        ICollective? ranks = engine.Collective.IfSeveral();
        ranks.Do(() => network.CheckState(state));
        RunData rows = RunData.Of(
            ranks, data, validation, network, options, cancellationToken.ThrowIfCancellationRequested);
        RunSetup setup = ranks.Do(() =>
        {
            var setup = new RunSetup(network, options, RunPhase.Of(network, options, plan), rows.Checksum);
            foreach (RunPhase phase in setup.Phases)
                phase.CheckTrains(new Batches(rows.Training.Count, options.BatchSize));
            return setup;
        });
        return new RunContext(setup, rows, engine, progress, clock, cancellationToken, isAskedToCancel)
            .Run(RunPosition.StartOf(0, state, [], []));
    }
}
