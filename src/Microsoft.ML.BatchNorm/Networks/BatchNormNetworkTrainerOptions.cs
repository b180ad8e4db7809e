using static System.FormattableString;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Trainers;

/// <summary>
/// The common options of the network trainers: the network, its first values, and how it is trained. A trainer copies
/// the options when it is created.
/// </summary>
public abstract class BatchNormNetworkTrainerOptions : TrainerInputBaseWithWeight
{
    private protected BatchNormNetworkTrainerOptions()
    {
    }

    /// <summary>
    /// The network: with as many inputs as the feature column has slots, and one output per class, or one output for a
    /// binary or regression trainer. Its outputs are the values before the softmax or sigmoid. Null for
    /// <see cref="NetworkFactory"/>. Default: null.
    /// </summary>
    public Network? Network { get; set; }

    /// <summary>
    /// Makes the network from the shape of a row (the feature column's dimensions) and the number of outputs. Null for
    /// the default network: batch normalization of the flattened features (with an ε of 1e-5), a dense layer of 128
    /// units with batch normalization and ReLU, and a dense layer with the outputs. Default: null.
    /// </summary>
    public Func<TensorShape, int, Network>? NetworkFactory { get; set; }

    /// <summary>
    /// A network and its parameters to begin with, such as from a file or from
    /// <see cref="NetworkModelExtensions.GetNetwork"/>. If <see cref="Network"/> or <see cref="NetworkFactory"/> gives a
    /// network, that one is trained, and takes over the parameters of all layers with the same path and shapes.
    /// Otherwise this network is trained further; if its number of outputs differs, it gets a new head, which requires
    /// a plan in <see cref="FineTune"/>. Default: null.
    /// </summary>
    public SavedNetwork? Pretrained { get; set; }

    /// <summary>
    /// Paths of layers to freeze, which puts batch normalizations in inference mode. <c>*</c> stands for any
    /// characters, <c>?</c> for one, and the path of an inner network for all layers in it. Default: none.
    /// </summary>
    public string[] Freeze { get; set; } = [];

    /// <summary>
    /// Phases with their own epochs, learning rates and switches, which replace <see cref="Epochs"/> and the
    /// optimizer's learning rate. Null for one phase with the network's switches. Default: null.
    /// </summary>
    public FineTuningPlan? FineTune { get; set; }

    /// <summary>
    /// How many times training goes through the data; at least 1. Null for 10, and for the default network as many as
    /// make 2,000 steps, but at least 10 and at most 100. Default: null.
    /// </summary>
    /// <remarks>
    /// Epochs, batch size, optimizer and schedule have other values for the default network where you set none: it is
    /// trained from its first values on, and no <see cref="FineTune"/> is set. A network that you give, and training
    /// that goes on from a model, keep Keras's numbers.
    /// </remarks>
    public int? Epochs { get; set; }

    /// <summary>
    /// The number of rows in a step; at least 1. Null for 32, and for the default network a hundredth of the training
    /// rows, but at least 32 and at most 256. Default: null.
    /// </summary>
    /// <inheritdoc cref="Epochs" path="/remarks"/>
    public int? BatchSize { get; set; }

    /// <summary>
    /// How gradients change parameters. Null for Adam with a learning rate of 0.001, and for the default network
    /// without <see cref="EarlyStopping"/> AdamW with a learning rate of 0.02 and a weight decay of 1. Default: null.
    /// </summary>
    /// <inheritdoc cref="Epochs" path="/remarks"/>
    public Optimizer? Optimizer { get; set; }

    /// <summary>
    /// The learning rate, at least 0, instead of that of <see cref="Optimizer"/>; null for the optimizer's own. It must
    /// be null with <see cref="FineTune"/>, whose phases have their own rates. Default: null.
    /// </summary>
    public double? LearningRate { get; set; }

    /// <summary>
    /// The factor of the learning rate, step by step. Null for a constant rate, and for the default network without
    /// <see cref="EarlyStopping"/> a <see cref="LearningRateSchedule.Cosine"/> down to 0. Default: null.
    /// </summary>
    /// <inheritdoc cref="Epochs" path="/remarks"/>
    public LearningRateSchedule? LearningRateSchedule { get; set; }

    /// <summary>
    /// Whether each epoch takes the rows in an order of its own, as <see cref="TrainingOptions.Shuffle"/> describes.
    /// Default: true.
    /// </summary>
    public bool Shuffle { get; set; } = true;

    /// <summary>
    /// The seed of the network's first values, the order of the rows, dropout and the validation split. Null for a seed
    /// from the context. Default: null.
    /// </summary>
    public int? Seed { get; set; }

    /// <summary>
    /// What happens to a row with a feature that is NaN or infinite. <see cref="BatchNorm.NonFinite.Ignore"/> skips it;
    /// one warning says how many rows were skipped. <see cref="BatchNorm.NonFinite.Throw"/> makes it an error that
    /// names column, row and slot. Default: <see cref="BatchNorm.NonFinite.Ignore"/>.
    /// </summary>
    public NonFinite NonFinite { get; set; } = NonFinite.Ignore;

    /// <summary>
    /// The greatest norm of the gradient of all parameters together; positive, or null for no limit. Default: null.
    /// </summary>
    public double? GradientClipNorm { get; set; }

    /// <summary>
    /// Rows to validate each epoch with, in columns with the same names; null for <see cref="ValidationSplit"/>.
    /// Default: null.
    /// </summary>
    public IDataView? ValidationData { get; set; }

    /// <summary>
    /// The share of the rows, from 0 to below 1, that is kept for validation; must be 0 if <see cref="ValidationData"/>
    /// is set. Default: 0.
    /// </summary>
    public double ValidationSplit { get; set; }

    /// <summary>
    /// Whether the validation loss may end the run early, which needs rows to validate with; null for never. Default:
    /// null.
    /// </summary>
    public EarlyStopping? EarlyStopping { get; set; }

    /// <summary>
    /// Whether, when training ends, the moving statistics that moved are replaced by the exact ones of the training
    /// data under the final parameters. Without this, an average over few steps is biased towards its initial value,
    /// and a warning says so. Default: true.
    /// </summary>
    public bool RecomputeStatistics { get; set; } = true;

    /// <summary>
    /// Receives the progress, with epoch, step, loss, metrics, rows per second and learning rate: about ten times a
    /// second and at the end of each epoch, on the thread that trains. Training waits until it returns. A
    /// <see cref="Progress{T}"/> passes the reports on to another thread, where they may come late and out of order; a
    /// class of your own gets them at once. <see cref="MLContext.Log"/> has the end of each epoch too. Default: null.
    /// </summary>
    public IProgress<TrainingProgress>? Progress { get; set; }

    /// <summary>
    /// Whether each epoch measures the metric of the training rows in inference mode, as
    /// <see cref="EpochResult.Metric"/> says, which takes one more pass over them. The training report then compares
    /// training and validation by it. Default: false.
    /// </summary>
    public bool EvaluateTrainingData { get; set; }

    /// <summary>
    /// Whether each epoch measures how far the moving statistics are from the exact ones of the training rows, which
    /// the training report shows. This takes as long as <see cref="RecomputeStatistics"/>, once per epoch, and does not
    /// change what is learned. Default: false.
    /// </summary>
    public bool RecordStatistics { get; set; }

    /// <summary>
    /// A file that receives a <see cref="TrainingCheckpoint"/> at the end of each epoch, or null for none. You can only
    /// take the state from a regression's checkpoint: <see cref="NetworkTrainer.Resume"/> refuses it, because it would
    /// continue on labels that are not standardized. Default: null.
    /// </summary>
    public string? CheckpointPath { get; set; }

    /// <summary>
    /// How many bytes of training and validation rows may be in memory, at 4 bytes per feature, label and weight;
    /// reading them may need half as much in addition. If the rows do not fit, they go to a temporary file, in the
    /// folder that <see cref="MLContext.TempFilePath"/> names when the trainer is created, and training keeps 64 MB of
    /// them in memory. The result has the same bits in both cases. The file disappears when training ends, also if the
    /// process is killed. Null for half of the memory that the process may use
    /// (<see cref="GCMemoryInfo.TotalAvailableMemoryBytes"/>); 0 for none. Default: null.
    /// </summary>
    public long? DataBytesInMemory { get; set; }

    /// <summary>
    /// How many threads may work. Null for as many as the work of a step is worth, at most one per processor; a small
    /// network trains fastest on one thread (see <see cref="CpuEngine"/>). The result has the same bits for any number.
    /// Default: null.
    /// </summary>
    public int? NumberOfThreads { get; set; }

    /// <summary>
    /// The engine that trains the network. Null for the GPU that <see cref="MLContext.GpuDeviceId"/> names, or else
    /// this process's threads. Default: null.
    /// </summary>
    public ITrainingEngine? Engine { get; set; }

    /// <summary>
    /// Cancels training before its next step or part of a validation with a <see cref="TrainingCanceledException"/>,
    /// which has the state and a checkpoint; while the rows are read, with an <see cref="OperationCanceledException"/>.
    /// Default: none.
    /// </summary>
    public CancellationToken CancellationToken { get; set; }

    /// <summary>
    /// Checks all options with ML.NET's errors, and returns the options of the run. The seed, and whether targets are
    /// standardized, follow when the run starts.
    /// </summary>
    internal TrainingOptions ForRun(IHost host, Loss loss, double[] classWeights)
    {
        host.CheckUserArg(loss is not null, nameof(TrainingOptions.Loss), "Loss must not be null.");
        host.CheckUserArg(Epochs is null or > 0, nameof(Epochs), $"Epochs must be positive, not {Epochs}.");
        host.CheckUserArg(BatchSize is null or > 0, nameof(BatchSize), $"BatchSize must be positive, not {BatchSize}.");
        host.CheckUserArg(
            NumberOfThreads is null or > 0, nameof(NumberOfThreads),
            $"NumberOfThreads must be positive or null, not {NumberOfThreads}.");
        host.CheckUserArg(
            DataBytesInMemory is null or >= 0, nameof(DataBytesInMemory),
            $"DataBytesInMemory must be null, or 0 or more, not {DataBytesInMemory}.");
        host.CheckUserArg(
            GradientClipNorm is not { } norm || norm > 0 && double.IsFinite(norm), nameof(GradientClipNorm),
            Invariant($"GradientClipNorm must be positive and finite, or null, not {GradientClipNorm}."));
        host.CheckUserArg(
            ValidationSplit is >= 0 and < 1, nameof(ValidationSplit),
            Invariant($"ValidationSplit must be at least 0 and below 1, not {ValidationSplit}."));
        host.CheckUserArg(
            ValidationSplit == 0 || ValidationData is null, nameof(ValidationSplit),
            "ValidationSplit must be 0 where ValidationData is set.");
        host.CheckUserArg(
            EarlyStopping is null || ValidationData is not null || ValidationSplit > 0, nameof(EarlyStopping),
            "EarlyStopping needs rows to validate with: set ValidationData or ValidationSplit.");
        host.CheckUserArg(
            Network is null || NetworkFactory is null, nameof(NetworkFactory),
            "NetworkFactory must be null where Network is set.");
        host.CheckUserArg(
            LearningRate is not { } rate || rate >= 0 && double.IsFinite(rate), nameof(LearningRate),
            Invariant($"LearningRate must be finite and at least 0, or null, not {LearningRate}."));
        host.CheckUserArg(
            LearningRate is null || FineTune is null, nameof(LearningRate),
            "LearningRate must be null where FineTune is set: each of its phases has a learning rate.");
        host.CheckUserArg(
            Freeze is not null && Array.TrueForAll(Freeze, pattern => !string.IsNullOrEmpty(pattern)),
            nameof(Freeze), "Freeze must be paths of layers, neither null nor empty.");
        host.CheckUserArg(
            classWeights is not null && Array.TrueForAll(classWeights, IsWeight), "ClassWeights",
            "ClassWeights must be finite and not negative, not " +
            (classWeights is null ? "null." : Invariant($"{Array.Find(classWeights, weight => !IsWeight(weight))}.")));
        host.CheckUserArg(
            CheckpointPath is not "", nameof(CheckpointPath), "CheckpointPath must be a path or null, not empty.");
        return new TrainingOptions
        {
            Loss = loss!,
            Optimizer = WithRate(Optimizer ?? Optimizer.Adam(Defaults.LearningRate)),
            LearningRateSchedule = LearningRateSchedule ?? LearningRateSchedule.Constant,
            Epochs = Epochs ?? Defaults.Epochs,
            BatchSize = BatchSize ?? Defaults.BatchSize,
            Shuffle = Shuffle,
            GradientClipNorm = GradientClipNorm,
            ClassWeights = [.. classWeights!],
            ValidationSplit = ValidationSplit,
            EarlyStopping = EarlyStopping,
            RecomputeStatistics = RecomputeStatistics,
            EvaluateTrainingData = EvaluateTrainingData,
            RecordStatistics = RecordStatistics,
            CheckpointPath = CheckpointPath,
        };

        static bool IsWeight(double weight) => weight >= 0 && double.IsFinite(weight);
    }

    /// <summary>
    /// The options of a run that trains the default network. Its kernel stands between two normalizations, so that a
    /// high learning rate that falls to 0 is safe. A run that may stop early does not come to the end of a schedule,
    /// and keeps a small rate.
    /// </summary>
    /// <param name="run">The options of the run for a network that was given.</param>
    /// <param name="rows">The number of rows to train on, of all ranks.</param>
    internal TrainingOptions ForDefaultNetwork(TrainingOptions run, int rows)
    {
        const int Steps = 2000, LeastEpochs = 10, MostEpochs = 100;
        const int BatchesPerEpoch = 100, LeastBatchSize = 32, MostBatchSize = 256;
        int batchSize = BatchSize ?? Math.Clamp(rows / BatchesPerEpoch, LeastBatchSize, MostBatchSize);
        double epochs = Math.Clamp(Math.Ceiling((double)Steps * batchSize / rows), LeastEpochs, MostEpochs);
        run = run with { Epochs = Epochs ?? (int)epochs, BatchSize = batchSize };
        return EarlyStopping is not null ? run : run with
        {
            Optimizer = WithRate(Optimizer ?? Optimizer.AdamW(learningRate: 0.02, weightDecay: 1)),
            LearningRateSchedule = LearningRateSchedule ?? LearningRateSchedule.Cosine(),
        };
    }

    Optimizer WithRate(Optimizer optimizer) =>
        LearningRate is { } rate ? optimizer with { LearningRate = rate } : optimizer;

    internal BatchNormNetworkTrainerOptions Copy()
    {
        var copy = (BatchNormNetworkTrainerOptions)MemberwiseClone();
        copy.Freeze = [.. Freeze];
        return copy;
    }

    internal static class Defaults
    {
        public const int Epochs = 10;
        public const int BatchSize = 32;
        public const double LearningRate = 0.001;
    }
}
