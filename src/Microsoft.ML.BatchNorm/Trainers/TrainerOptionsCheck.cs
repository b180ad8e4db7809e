using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Trainers;

/// <summary>Turns a trainer's options into a run's, or into ML.NET's argument errors.</summary>
static class TrainerOptionsCheck
{
    const string Positive = "Must be positive";

    /// <summary>Checks all options, and gives those of the run; the seed comes when it starts.</summary>
    public static TrainingOptions Run(
        IHost host, BatchNormNetworkTrainerOptions options, Loss loss, double[] classWeights)
    {
        host.CheckUserArg(loss is not null, nameof(TrainingOptions.Loss), "Must not be null");
        host.CheckUserArg(options.Epochs > 0, nameof(options.Epochs), Positive);
        host.CheckUserArg(options.BatchSize > 0, nameof(options.BatchSize), Positive);
        host.CheckUserArg(options.NumberOfThreads is null or > 0, nameof(options.NumberOfThreads), Positive);
        host.CheckUserArg(
            options.DataBytesInMemory is null or >= 0, nameof(options.DataBytesInMemory), "Must not be negative");
        host.CheckUserArg(
            options.GradientClipNorm is not { } norm || norm > 0 && double.IsFinite(norm),
            nameof(options.GradientClipNorm), "Must be positive and finite");
        host.CheckUserArg(
            options.ValidationSplit is >= 0 and < 1, nameof(options.ValidationSplit), "Must be at least 0 and below 1");
        host.CheckUserArg(
            options.EarlyStopping is null || options.ValidationData is not null || options.ValidationSplit > 0,
            nameof(options.EarlyStopping), "Must have ValidationData or a ValidationSplit");
        host.CheckUserArg(
            options.Network is null || options.NetworkFactory is null, nameof(options.NetworkFactory),
            "Must be null where there is a Network");
        host.CheckUserArg(options.Optimizer is not null, nameof(options.Optimizer), "Must not be null");
        host.CheckUserArg(
            options.LearningRateSchedule is not null, nameof(options.LearningRateSchedule), "Must not be null");
        host.CheckUserArg(
            options.Freeze is not null && Array.TrueForAll(options.Freeze, pattern => !string.IsNullOrEmpty(pattern)),
            nameof(options.Freeze), "Must be paths of layers");
        host.CheckUserArg(
            classWeights is not null
                && Array.TrueForAll(classWeights, weight => weight >= 0 && double.IsFinite(weight)),
            "ClassWeights", "Must be finite and not negative");
        host.CheckUserArg(options.CheckpointPath is not "", nameof(options.CheckpointPath), "Must be a path, or null");
        return new TrainingOptions
        {
            Loss = loss!,
            Optimizer = options.Optimizer!,
            LearningRateSchedule = options.LearningRateSchedule!,
            Epochs = options.Epochs,
            BatchSize = options.BatchSize,
            Shuffle = options.Shuffle,
            GradientClipNorm = options.GradientClipNorm,
            ClassWeights = [.. classWeights!],
            ValidationSplit = options.ValidationSplit,
            EarlyStopping = options.EarlyStopping,
            RecomputeStatistics = options.RecomputeStatistics,
            CheckpointPath = options.CheckpointPath,
        };
    }
}
