namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Trains networks: on this process's threads (<see cref="CpuEngine"/>), or on another device. What it returns are
/// plain values that depend on no device.
/// </summary>
public interface ITrainingEngine
{
    /// <summary>
    /// The processes that train together, each on its own rows; null for this one alone. With several, the rows of a
    /// session have numbers over all ranks: the first row of each rank, then the second of each, and so on, where a
    /// rank that has no more rows is left out. Such an engine also implements
    /// <see cref="ITrainingSession.TrainOnBatch(ReadOnlySpan{int}, double, bool)"/>. Starting a session, a step and
    /// <see cref="ITrainingSession.RecomputeStatistics"/> are calls of all ranks. Default: null.
    /// </summary>
    ICollective? Collective => null;

    /// <summary>Starts a training with the parameters, the switches as they are now, and the data.</summary>
    /// <param name="network">The network.</param>
    /// <param name="state">Its parameters; they do not change.</param>
    /// <param name="options">
    /// The session uses loss, optimizer, clipping, class weights and seed; epochs, order and validation are up to the
    /// caller.
    /// </param>
    /// <param name="data">
    /// The rows that steps will name, in memory or read from <see cref="TrainingData.Source"/>.
    /// <see cref="TrainingData.Read"/> gives them in both cases.
    /// </param>
    /// <exception cref="ArgumentException">State, options or data do not fit the network.</exception>
    /// <exception cref="NotSupportedException">
    /// The engine cannot run one of the layers; the message names it.
    /// </exception>
    ITrainingSession Start(Network network, NetworkState state, TrainingOptions options, TrainingData data);
}

/// <summary>One training of one network. For one thread at a time.</summary>
public interface ITrainingSession : IDisposable
{
    /// <summary>
    /// The number of steps taken. After a <see cref="TrainingDivergedException"/>, from the step itself or from
    /// <see cref="ReadLosses"/>, it is the number of steps before the one that failed.
    /// </summary>
    long Steps { get; }

    /// <summary>
    /// One step in training mode: forward, backward, clipping, the optimizer, the moving statistics. A step that fails
    /// leaves everything as it was.
    /// </summary>
    /// <param name="rows">The rows of the batch, as indices into the session's data; at least one.</param>
    /// <param name="learningRate">The learning rate of this step.</param>
    /// <exception cref="ArgumentException">A row does not exist.</exception>
    /// <exception cref="InvalidDataException">A feature is not finite where that is an error.</exception>
    /// <exception cref="TrainingDivergedException">A loss or gradient is not finite.</exception>
    void TrainOnBatch(ReadOnlySpan<int> rows, double learningRate);

    /// <summary>
    /// One step in training mode, in which the ranks of a collective also agree whether to stop after it.
    /// </summary>
    /// <param name="rows">The rows of the batch on all ranks.</param>
    /// <param name="learningRate">The learning rate of this step.</param>
    /// <param name="wantsToStop">Whether this rank wants the run to stop after the step.</param>
    /// <returns>Whether a rank does.</returns>
    /// <inheritdoc cref="TrainOnBatch(ReadOnlySpan{int}, double)"/>
    bool TrainOnBatch(ReadOnlySpan<int> rows, double learningRate, bool wantsToStop)
    {
        TrainOnBatch(rows, learningRate);
        return wantsToStop;
    }

    /// <summary>
    /// Says which rows the next step will have, so that an engine with its own memory can fetch them in the meantime.
    /// </summary>
    void Prefetch(ReadOnlySpan<int> rows);

    /// <summary>
    /// The losses of the steps since the last call, the oldest first, in training mode and with penalties. In an
    /// average over an epoch each counts by its step's number of rows.
    /// </summary>
    /// <param name="losses">Receives the losses, at most as many as it is long.</param>
    /// <returns>How many losses were read.</returns>
    /// <exception cref="TrainingDivergedException">One of the losses is not finite.</exception>
    int ReadLosses(Span<double> losses);

    /// <summary>
    /// Replaces the moving statistics of every batch normalization that trains by the exact ones of the given rows,
    /// under the parameters as they are now. Layer after layer gets the statistics of its input, which the layers
    /// before it compute in inference mode with their new statistics.
    /// </summary>
    /// <param name="rows">Rows of the session's data; enumerated at most once per layer.</param>
    void RecomputeStatistics(IReadOnlyCollection<int> rows);

    /// <summary>
    /// Takes the moving statistics of a state. Learned parameters and the optimizer stay as they are.
    /// </summary>
    /// <param name="state">A state of the session's network, such as one from before a recomputation.</param>
    /// <exception cref="ArgumentException">The state does not fit the network.</exception>
    void SetStatistics(NetworkState state);

    /// <summary>The network's outputs in inference mode, under the parameters as they are now.</summary>
    /// <param name="features">Row after row.</param>
    /// <param name="outputs">Receives one row of outputs for each row of features.</param>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    void Predict(ReadOnlySpan<float> features, Span<float> outputs);

    /// <summary>The parameters as they are now.</summary>
    NetworkState GetState();

    /// <summary>What the optimizer has accumulated.</summary>
    OptimizerState GetOptimizerState();

    /// <summary>Takes the optimizer and the number of steps of an earlier session, to continue it.</summary>
    /// <exception cref="ArgumentException">The state belongs to other parameters or another optimizer.</exception>
    void SetOptimizerState(OptimizerState state);
}

/// <summary>
/// A loss or gradient was not finite. Nothing of that step was kept; <see cref="LastGoodState"/> is what the network
/// had learned before it.
/// </summary>
public sealed class TrainingDivergedException : InvalidOperationException
{
    /// <summary>The exception of an engine, which knows the layer.</summary>
    /// <param name="layer">
    /// The path of the first layer whose output or gradient was not finite; empty for the loss.
    /// </param>
    public TrainingDivergedException(string layer)
        : base($"Training diverged: {Where(layer)} is not finite.") => Layer = layer;

    /// <summary>The exception of a run, which knows the step.</summary>
    /// <param name="layer">
    /// The path of the first layer whose output or gradient was not finite; empty for the loss.
    /// </param>
    /// <param name="epoch">The epoch, from 1.</param>
    /// <param name="step">The step in it, from 1.</param>
    /// <param name="lastGoodState">The state before that step.</param>
    /// <param name="innerException">The engine's error.</param>
    public TrainingDivergedException(
        string layer, int epoch, long step, NetworkState? lastGoodState, Exception? innerException = null)
        : base(
            $"Training diverged in epoch {epoch}, step {step}: {Where(layer)} is not finite. "
            + "A lower learning rate, GradientClipNorm, or cleaner data may help.", innerException)
    {
        Layer = layer;
        Epoch = epoch;
        Step = step;
        LastGoodState = lastGoodState;
    }

    /// <summary>The path of the first layer whose output or gradient was not finite; empty for the loss.</summary>
    public string Layer { get; }

    /// <summary>The epoch, from 1; 0 if it is not known.</summary>
    public int Epoch { get; }

    /// <summary>The step in the epoch, from 1; 0 if it is not known.</summary>
    public long Step { get; }

    /// <summary>The last state with finite numbers, or null if it is not known.</summary>
    public NetworkState? LastGoodState { get; }

    static string Where(string layer) => layer.Length == 0 ? "the loss" : $"layer '{layer}'";
}
