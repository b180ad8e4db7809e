namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Ends a run when the validation loss no longer falls, as Keras's callback of that name. An immutable value.
/// </summary>
public sealed record EarlyStopping
{
    /// <summary>How many epochs without improvement are waited for. Default: 5.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int Patience { get; init => field = Check.Positive(value, nameof(Patience)); } = 5;

    /// <summary>By how much the loss must fall to count as improvement; at least 0. Default: 0.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or not finite.</exception>
    public double MinimumImprovement { get; init => field = Check.NotNegative(value, nameof(MinimumImprovement)); }

    /// <summary>
    /// Whether the run ends with the parameters of its best epoch instead of its last. Default: true.
    /// </summary>
    public bool RestoreBest { get; init; } = true;
}
