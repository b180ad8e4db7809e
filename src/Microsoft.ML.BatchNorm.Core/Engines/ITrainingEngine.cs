namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Where networks are trained: on this process's threads (<see cref="CpuEngine"/>), or on another device. What it hands
/// back is the same plain value everywhere.
/// </summary>
public interface ITrainingEngine
{
    /// <summary>Begins to train: takes the parameters, the switches as they are now, and the data.</summary>
    /// <param name="network">The network.</param>
    /// <param name="state">Its parameters; they do not change.</param>
    /// <param name="options">
    /// Loss, optimizer, clipping, class weights and seed are the session's part; epochs, order and validation are
    /// the caller's.
    /// </param>
    /// <param name="data">
    /// The rows that steps will name: in memory, or to be read from <see cref="TrainingData.Source"/>.
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
    /// The number of steps taken. Behind a <see cref="TrainingDivergedException"/>, at once or from
    /// <see cref="ReadLosses"/>, it is the number of those before the step that failed.
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
    /// Says which rows the next step will have, so that an engine with memory of its own can fetch them meanwhile.
    /// </summary>
    void Prefetch(ReadOnlySpan<int> rows);

    /// <summary>
    /// The losses of the steps since the last call, the oldest first, in training mode and with penalties; a step's own
    /// number of rows weighs it in an average over an epoch.
    /// </summary>
    /// <param name="losses">Receives them; at most its length.</param>
    /// <returns>How many there were.</returns>
    /// <exception cref="TrainingDivergedException">One of them is not finite.</exception>
    int ReadLosses(Span<double> losses);

    /// <summary>
    /// Replaces the moving statistics of every batch normalization that trains by the exact ones of the given rows,
    /// under the parameters as they are now: layer after layer, each over what the layers before it give in inference
    /// mode with the statistics that they have just got.
    /// </summary>
    /// <param name="rows">Rows of the session's data; gone through once per layer at most.</param>
    void RecomputeStatistics(IReadOnlyCollection<int> rows);

    /// <summary>Takes the moving statistics of a state; what learns, and the optimizer, stay as they are.</summary>
    /// <param name="state">A state of the session's network, such as one from before a recomputation.</param>
    /// <exception cref="ArgumentException">It does not fit the network.</exception>
    void SetStatistics(NetworkState state);

    /// <summary>The network's outputs in inference mode, under the parameters as they are now.</summary>
    /// <param name="features">Row after row.</param>
    /// <param name="outputs">Receives one row of outputs for each.</param>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    void Predict(ReadOnlySpan<float> features, Span<float> outputs);

    /// <summary>The parameters as they are now.</summary>
    NetworkState GetState();

    /// <summary>What the optimizer has gathered.</summary>
    OptimizerState GetOptimizerState();

    /// <summary>Goes on from an earlier session: its optimizer and its number of steps.</summary>
    /// <exception cref="ArgumentException">It belongs to other parameters or another optimizer.</exception>
    void SetOptimizerState(OptimizerState state);
}
