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
/// <see cref="TrainingOptions.RecomputeStatistics"/> is set, a run (each phase of a plan) ends with it; the losses in the
/// history are those before.
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
    /// <param name="engine">Where to train; null for <see cref="CpuEngine"/> on one thread.</param>
    /// <param name="progress">Is told how far the run is, on the thread that trains.</param>
    /// <param name="cancellationToken">Looked at before every step.</param>
    /// <exception cref="ArgumentException">State, data or options do not fit the network or each other.</exception>
    /// <exception cref="InvalidDataException">A feature is not finite where that is an error.</exception>
    /// <exception cref="TrainingDivergedException">A loss or gradient is not finite; it has the last good state.</exception>
    /// <exception cref="TrainingCanceledException">The run was canceled; it has the state and a checkpoint.</exception>
    /// <exception cref="IOException">The file at <see cref="TrainingOptions.CheckpointPath"/> cannot be written.</exception>
    public static TrainingResult Train(
        Network network, NetworkState state, TrainingData data, TrainingOptions options, TrainingData? validation = null,
        ITrainingEngine? engine = null, IProgress<TrainingProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        throw null!;
    }

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
    /// <param name="engine">Where to train; null for <see cref="CpuEngine"/> on one thread.</param>
    /// <param name="progress">Is told how far the run is, on the thread that trains.</param>
    /// <param name="cancellationToken">Looked at before every step.</param>
    /// <exception cref="ArgumentException">State, data, options or a phase do not fit the network or each other.</exception>
    /// <exception cref="InvalidDataException">A feature is not finite where that is an error.</exception>
    /// <exception cref="TrainingDivergedException">A loss or gradient is not finite; it has the last good state.</exception>
    /// <exception cref="TrainingCanceledException">The run was canceled; it has the state and a checkpoint.</exception>
    /// <exception cref="IOException">The file at <see cref="TrainingOptions.CheckpointPath"/> cannot be written.</exception>
    public static TrainingResult Train(
        Network network, NetworkState state, TrainingData data, TrainingOptions options, FineTuningPlan plan,
        TrainingData? validation = null, ITrainingEngine? engine = null, IProgress<TrainingProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        throw null!;
    }

    /// <summary>Goes on where a checkpoint stands, to the same bits as the run that was not broken.</summary>
    /// <param name="checkpoint">Where to go on.</param>
    /// <param name="data">The same rows as before.</param>
    /// <param name="validation">The same rows as before, or null as before.</param>
    /// <param name="engine">Where to train; the same kind as before for the same bits.</param>
    /// <param name="progress">Is told how far the run is, on the thread that trains.</param>
    /// <param name="cancellationToken">Looked at before every step.</param>
    /// <exception cref="ArgumentException">The data is not the checkpoint's.</exception>
    /// <exception cref="TrainingDivergedException">A loss or gradient is not finite; it has the last good state.</exception>
    /// <exception cref="TrainingCanceledException">The run was canceled; it has the state and a checkpoint.</exception>
    /// <exception cref="IOException">The file at <see cref="TrainingOptions.CheckpointPath"/> cannot be written.</exception>
    public static TrainingResult Resume(
        TrainingCheckpoint checkpoint, TrainingData data, TrainingData? validation = null, ITrainingEngine? engine = null,
        IProgress<TrainingProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        throw null!;
    }
}
