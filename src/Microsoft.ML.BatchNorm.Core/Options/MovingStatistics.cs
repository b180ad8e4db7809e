namespace Microsoft.ML.BatchNorm;

/// <summary>How training mode folds a batch into the moving mean and the moving variance.</summary>
public enum MovingStatistics
{
    /// <summary>
    /// <c>m ← d·m + (1 − d)·batch</c> with <c>d</c> = <see cref="BatchNormalizationOptions.Momentum"/>:
    /// Keras's and PyTorch's moving average. The default of a layer.
    /// </summary>
    Exponential,

    /// <summary>
    /// The plain average of the batches seen, <c>d = 1 − 1/t</c> at batch <c>t</c>: PyTorch's <c>momentum=None</c>.
    /// </summary>
    Cumulative,

    /// <summary>
    /// The exact statistics of all positions seen, whatever the batch size and order. Batches are merged by
    /// count, mean and sum of squared deviations (Chan, Golub, LeVeque, 1983). A state that holds averages of another
    /// kind, or statistics from elsewhere, starts a population with its next batch, which replaces them.
    /// </summary>
    Population,
}
