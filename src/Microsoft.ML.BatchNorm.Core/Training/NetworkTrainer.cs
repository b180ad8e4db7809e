using Microsoft.ML.BatchNorm.Training;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Trains networks: epochs, the order of rows, validation, early stopping, learning rates, progress, cancellation and
/// checkpoints. The arithmetic is an <see cref="ITrainingEngine"/>'s.
/// </summary>
/// <remarks>
/// <para>
/// The same arguments give the same bits on <see cref="CpuEngine"/>, on any number of threads, whether the run goes
/// through or is canceled and resumed at any step.
/// </para>
/// <para>
/// Each epoch's order depends on <see cref="TrainingOptions.Seed"/> and the epoch's number alone. Where
/// <see cref="TrainingOptions.RecomputeStatistics"/> is set, a run (each phase of a plan) ends with it, and what an
/// epoch measures in inference mode (validation, metrics, the best epoch) is measured with the statistics that the run
/// would end with there; training itself goes on with the moving ones.
/// </para>
/// <para>
/// Rows in memory and rows from a <see cref="TrainingData.Source"/> give the same bits. Rows from a source are read once
/// before the first step; a cancellation meanwhile is a plain <see cref="OperationCanceledException"/>.
/// </para>
/// </remarks>
public static partial class NetworkTrainer
{
    /// <summary>Trains a network with its switches as they are.</summary>
    /// <param name="network">The network.</param>
    /// <param name="state">The parameters to begin with.</param>
    /// <param name="data">The rows to train on.</param>
    /// <param name="options">How to train.</param>
    /// <param name="validation">
    /// The rows to validate with; null for <see cref="TrainingOptions.ValidationSplit"/> of <paramref name="data"/>.
    /// </param>
    /// <param name="engine">Where to train; null for a <see cref="CpuEngine"/>.</param>
    /// <param name="progress">Is told how far the run is, on the thread that trains: this one.</param>
    /// <param name="cancellationToken">Looked at before every step.</param>
    /// <exception cref="ArgumentException">
    /// State, data or options do not fit the network or each other; nothing in the network trains; or a batch has a
    /// single value per channel for a batch normalization in training mode, whose every output would be β.
    /// </exception>
    /// <exception cref="InvalidDataException">A feature is not finite where that is an error.</exception>
    /// <exception cref="TrainingDivergedException">
    /// A loss or gradient is not finite; it has the last good state.
    /// </exception>
    /// <exception cref="TrainingCanceledException">The run was canceled; it has the state and a checkpoint.</exception>
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
    /// Trains a network phase by phase. The plan's epochs and learning rates take the place of the options'; the result
    /// has the network as it was given.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="state">The parameters to begin with.</param>
    /// <param name="data">The rows to train on.</param>
    /// <param name="options">How to train.</param>
    /// <param name="plan">The phases.</param>
    /// <param name="validation">
    /// The rows to validate with; null for <see cref="TrainingOptions.ValidationSplit"/> of <paramref name="data"/>.
    /// </param>
    /// <param name="engine">Where to train; null for a <see cref="CpuEngine"/>.</param>
    /// <param name="progress">Is told how far the run is, on the thread that trains: this one.</param>
    /// <param name="cancellationToken">Looked at before every step.</param>
    /// <exception cref="ArgumentException">
    /// State, data, options or a phase do not fit the network or each other; nothing trains in a phase; or a batch has
    /// a single value per channel for a batch normalization in training mode, whose every output would be β.
    /// </exception>
    /// <exception cref="InvalidDataException">A feature is not finite where that is an error.</exception>
    /// <exception cref="TrainingDivergedException">
    /// A loss or gradient is not finite; it has the last good state.
    /// </exception>
    /// <exception cref="TrainingCanceledException">The run was canceled; it has the state and a checkpoint.</exception>
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

    /// <summary>Goes on where a checkpoint stands, to the same bits as the run that was not broken.</summary>
    /// <param name="checkpoint">Where to go on.</param>
    /// <param name="data">The same rows as before.</param>
    /// <param name="validation">The same rows as before, or null as before.</param>
    /// <param name="engine">Where to train; the same kind as before for the same bits.</param>
    /// <param name="progress">Is told how far the run is, on the thread that trains: this one.</param>
    /// <param name="cancellationToken">Looked at before every step.</param>
    /// <exception cref="ArgumentException">
    /// The data is not the checkpoint's, or the checkpoint is of ML.NET's regression trainer.
    /// </exception>
    /// <exception cref="TrainingDivergedException">
    /// A loss or gradient is not finite; it has the last good state.
    /// </exception>
    /// <exception cref="TrainingCanceledException">The run was canceled; it has the state and a checkpoint.</exception>
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
        if (setup.Options.StandardizesTargets)
            throw new ArgumentException(
                "The checkpoint is of ML.NET's regression trainer, which trains on standardized labels: go on from its "
                + "State, or from a model with Fit(rows, model).", nameof(checkpoint));
        data.Inspect(cancellationToken.ThrowIfCancellationRequested);
        validation?.Inspect(cancellationToken.ThrowIfCancellationRequested);
        var rows = new RunData(data, validation, setup.Network, setup.Options);
        uint checksum = RunData.Checksum(data, validation);
        if (checksum != setup.DataChecksum)
            throw new ArgumentException(
                $"The checkpoint is of a run on other rows: their checksum is {setup.DataChecksum:x8}, "
                + $"this data's {checksum:x8}.", nameof(data));
        return new RunContext(
            setup, rows, engine ?? new CpuEngine(), progress, TimeProvider.System, cancellationToken)
            .Run(checkpoint.Position);
    }

    internal static TrainingResult Start(
        Network network, NetworkState state, TrainingData data, TrainingOptions options, FineTuningPlan? plan,
        TrainingData? validation, ITrainingEngine? engine, IProgress<TrainingProgress>? progress,
        TimeProvider clock, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(options);
        network.CheckState(state);
        data.Inspect(cancellationToken.ThrowIfCancellationRequested);
        validation?.Inspect(cancellationToken.ThrowIfCancellationRequested);
        var rows = new RunData(data, validation, network, options);
        var setup = new RunSetup(
            network, options, RunPhase.Of(network, options, plan), RunData.Checksum(data, validation));
        foreach (RunPhase phase in setup.Phases)
            phase.CheckTrains(new Batches(rows.Training.Count, options.BatchSize));
        return new RunContext(setup, rows, engine ?? new CpuEngine(), progress, clock, cancellationToken)
            .Run(RunPosition.StartOf(0, state, [], []));
    }
}
