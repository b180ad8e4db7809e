namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What a <see cref="BatchNormalizationDiagnosis"/> may know beside the network and the rows. The more it knows, the
/// fewer causes are left. An immutable value, changed with <c>with { … }</c>.
/// </summary>
public sealed record DiagnosisOptions
{
    /// <summary>
    /// The loss to measure, which also determines the metric; null to look at no targets. Default: null.
    /// </summary>
    public Loss? Loss { get; init; }

    /// <summary>
    /// The number of rows that share statistics where the metric is measured with those of batches. The rows are
    /// shuffled before. Default: 32.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int BatchSize { get; init => field = Check.Positive(value, nameof(BatchSize)); } = 32;

    /// <summary>The number of rows in a step of the training; null if it is not known. Default: null.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int? TrainingBatchSize
    {
        get;
        init => field = value is { } size ? Check.Positive(size, nameof(TrainingBatchSize)) : null;
    }

    /// <summary>
    /// The rows that the network was trained on, in the order of the training data; they may be the rows that are
    /// looked at. Statistics that fit these and not the rows tell that the rows are others than those of the training.
    /// Null if they are not known. Default: null.
    /// </summary>
    public TrainingData? TrainingRows { get; init; }

    /// <summary>The seed of every order and every sample of rows. Default: 0.</summary>
    public int Seed { get; init; }
}
