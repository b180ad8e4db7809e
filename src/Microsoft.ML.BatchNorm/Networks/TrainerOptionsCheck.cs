using static System.FormattableString;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Trainers;

/// <summary>Turns a trainer's options into a run's, or into ML.NET's argument errors.</summary>
static class TrainerOptionsCheck
{
    /// <summary>Checks all options, and gives those of the run; the seed comes when it starts.</summary>
    public static TrainingOptions Run(
        IHost host, BatchNormNetworkTrainerOptions options, Loss loss, double[] classWeights)
    {
        host.CheckUserArg(loss is not null, nameof(TrainingOptions.Loss), "Loss must not be null.");
        host.CheckUserArg(
            options.Epochs > 0, nameof(options.Epochs), $"Epochs must be positive, not {options.Epochs}.");
        host.CheckUserArg(
            options.BatchSize > 0, nameof(options.BatchSize), $"BatchSize must be positive, not {options.BatchSize}.");
        host.CheckUserArg(
            options.NumberOfThreads is null or > 0, nameof(options.NumberOfThreads),
            $"NumberOfThreads must be positive or null, not {options.NumberOfThreads}.");
        host.CheckUserArg(
            options.DataBytesInMemory is null or >= 0, nameof(options.DataBytesInMemory),
            $"DataBytesInMemory must be null, or 0 or more, not {options.DataBytesInMemory}.");
        host.CheckUserArg(
            options.GradientClipNorm is not { } norm || norm > 0 && double.IsFinite(norm),
            nameof(options.GradientClipNorm),
            Invariant($"GradientClipNorm must be positive and finite, or null, not {options.GradientClipNorm}."));
        host.CheckUserArg(
            options.ValidationSplit is >= 0 and < 1, nameof(options.ValidationSplit),
            Invariant($"ValidationSplit must be at least 0 and below 1, not {options.ValidationSplit}."));
        host.CheckUserArg(
            options.ValidationSplit == 0 || options.ValidationData is null, nameof(options.ValidationSplit),
            "ValidationSplit must be 0 where ValidationData is set.");
        host.CheckUserArg(
            options.EarlyStopping is null || options.ValidationData is not null || options.ValidationSplit > 0,
            nameof(options.EarlyStopping),
            "EarlyStopping needs rows to validate with: set ValidationData or ValidationSplit.");
        host.CheckUserArg(
            options.Network is null || options.NetworkFactory is null, nameof(options.NetworkFactory),
            "NetworkFactory must be null where Network is set.");
        host.CheckUserArg(options.Optimizer is not null, nameof(options.Optimizer), "Optimizer must not be null.");
        host.CheckUserArg(
            options.LearningRateSchedule is not null, nameof(options.LearningRateSchedule),
            "LearningRateSchedule must not be null.");
        host.CheckUserArg(
            options.Freeze is not null && Array.TrueForAll(options.Freeze, pattern => !string.IsNullOrEmpty(pattern)),
            nameof(options.Freeze), "Freeze must be paths of layers, neither null nor empty.");
        host.CheckUserArg(
            classWeights is not null && Array.TrueForAll(classWeights, IsWeight), "ClassWeights",
            "ClassWeights must be finite and not negative, not " +
            (classWeights is null ? "null." : Invariant($"{Array.Find(classWeights, weight => !IsWeight(weight))}.")));
        host.CheckUserArg(
            options.CheckpointPath is not "", nameof(options.CheckpointPath),
            "CheckpointPath must be a path or null, not empty.");
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

    static bool IsWeight(double weight) => weight >= 0 && double.IsFinite(weight);
}
