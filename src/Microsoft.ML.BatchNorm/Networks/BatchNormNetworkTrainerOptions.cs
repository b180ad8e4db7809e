using Microsoft.ML.BatchNorm;

namespace Microsoft.ML.Trainers;

/// <summary>
/// What the trainers of networks with batch normalization have in common: the network and where it begins, and how it
/// is trained. A trainer takes the values as they are when it is made.
/// </summary>
public abstract class BatchNormNetworkTrainerOptions : TrainerInputBaseWithWeight
{
    private protected BatchNormNetworkTrainerOptions()
    {
    }

    /// <summary>
    /// The network: as many inputs as the feature column has slots, and as many outputs as there are classes, or one
    /// for a binary or regression trainer. Its outputs are the values before the softmax or sigmoid. Null for
    /// <see cref="NetworkFactory"/>. Default: null.
    /// </summary>
    public Network? Network { get; set; }

    /// <summary>
    /// Gives the network from the shape of a row (the feature column's dimensions) and the number of outputs. Null for
    /// batch normalization of the features in one dimension, a dense layer of 128 units with batch normalization and
    /// ReLU, and a dense layer of the outputs. Default: null.
    /// </summary>
    public Func<TensorShape, int, Network>? NetworkFactory { get; set; }

    /// <summary>
    /// A network and its parameters to begin with. Where <see cref="Network"/> or <see cref="NetworkFactory"/> gives
    /// another network, that one takes over the layers of the same path and shapes; else this one is trained on, under
    /// a new head where the number of outputs differs and there is a plan in <see cref="FineTune"/>. Default: null.
    /// </summary>
    public SavedNetwork? Pretrained { get; set; }

    /// <summary>
    /// Paths of layers that stay as they are, batch normalizations in inference mode; <c>*</c> stands for any
    /// characters, <c>?</c> for one, and the path of an inner network for all in it. Default: none.
    /// </summary>
    public string[] Freeze { get; set; } = [];

    /// <summary>
    /// Phases with epochs, learning rates and switches of their own, which take the place of <see cref="Epochs"/> and
    /// the optimizer's rate. Null for one run with the network's switches. Default: null.
    /// </summary>
    public FineTuningPlan? FineTune { get; set; }

    /// <summary>How often the data is gone through; at least 1. Default: 10.</summary>
    public int Epochs { get; set; } = Defaults.Epochs;

    /// <summary>The number of rows in a step; at least 1. Default: 32.</summary>
    public int BatchSize { get; set; } = Defaults.BatchSize;

    /// <summary>How gradients change parameters. Default: Adam with a learning rate of 0.001.</summary>
    public Optimizer Optimizer { get; set; } = Optimizer.Adam(Defaults.LearningRate);

    /// <summary>The factor of the learning rate, step by step. Default: constant.</summary>
    public LearningRateSchedule LearningRateSchedule { get; set; } = LearningRateSchedule.Constant;

    /// <summary>
    /// Whether each epoch takes the rows in an order of its own, as <see cref="TrainingOptions.Shuffle"/> describes.
    /// Default: true.
    /// </summary>
    public bool Shuffle { get; set; } = true;

    /// <summary>
    /// Seeds the network's first values, the order of the rows, dropout, and the split of the validation rows. Null
    /// takes one from the context. Default: null.
    /// </summary>
    public int? Seed { get; set; }

    /// <summary>
    /// What becomes of a row with a feature that is NaN or infinite: <see cref="BatchNorm.NonFinite.Ignore"/> leaves it
    /// out, with one warning of how many there were; <see cref="BatchNorm.NonFinite.Throw"/> makes it an error that
    /// names column, row and slot. Default: <see cref="BatchNorm.NonFinite.Ignore"/>.
    /// </summary>
    public NonFinite NonFinite { get; set; } = NonFinite.Ignore;

    /// <summary>
    /// The greatest length that the gradient of all parameters together may have; positive, or null for any. Default:
    /// null.
    /// </summary>
    public double? GradientClipNorm { get; set; }

    /// <summary>
    /// Rows to validate each epoch with, in columns of the same names; null for <see cref="ValidationSplit"/>. Default:
    /// null.
    /// </summary>
    public IDataView? ValidationData { get; set; }

    /// <summary>
    /// The share of the rows, from 0 to below 1, that is kept for validation; 0 where <see cref="ValidationData"/> is
    /// set. Default: 0.
    /// </summary>
    public double ValidationSplit { get; set; }

    /// <summary>
    /// Ends the run early by the validation loss, which needs rows to validate with; null for not at all. Default:
    /// null.
    /// </summary>
    public EarlyStopping? EarlyStopping { get; set; }

    /// <summary>
    /// Whether, when training ends, the moving statistics that moved are replaced by the exact ones of the training
    /// data under the final parameters. Without, an average of few steps is still biased towards its initial value, of
    /// which a warning tells. Default: true.
    /// </summary>
    public bool RecomputeStatistics { get; set; } = true;

    /// <summary>
    /// A file that receives a <see cref="TrainingCheckpoint"/> at every epoch's end, or null for none. Of a regression
    /// it is there to take the state from: <see cref="NetworkTrainer.Resume"/> refuses it, as it would go on with labels
    /// that are not standardized. Default: null.
    /// </summary>
    public string? CheckpointPath { get; set; }

    /// <summary>
    /// How many bytes of training and validation rows may be in memory, at 4 bytes per feature, label and weight; while
    /// they are read, half as many more may be needed. Rows that do not fit go to a temporary file instead, in the
    /// folder that <see cref="MLContext.TempFilePath"/> names when the trainer is created, and training holds 64 MB of
    /// them in memory. The result has the same bits in both cases. The file is deleted when training ends, also when
    /// the process is killed. Null for half of the memory that the process may have
    /// (<see cref="GCMemoryInfo.TotalAvailableMemoryBytes"/>); 0 for none. Default: null.
    /// </summary>
    public long? DataBytesInMemory { get; set; }

    /// <summary>
    /// How many threads may work; null for as many as a step has work for, at most one for each processor: a small
    /// network trains fastest on one (<see cref="CpuEngine"/>). The result has the same bits for any number. Default:
    /// null.
    /// </summary>
    public int? NumberOfThreads { get; set; }

    /// <summary>
    /// Where the network is trained. Null for this process's threads, or for the GPU that
    /// <see cref="MLContext.GpuDeviceId"/> names. Default: null.
    /// </summary>
    public ITrainingEngine? Engine { get; set; }

    /// <summary>
    /// Cancels training before its next step or part of a validation, with a <see cref="TrainingCanceledException"/>
    /// that has the state and a checkpoint; or while the rows are read, with an
    /// <see cref="OperationCanceledException"/>. Default: none.
    /// </summary>
    public CancellationToken CancellationToken { get; set; }

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
