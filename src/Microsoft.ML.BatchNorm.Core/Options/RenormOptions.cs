namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Batch renormalization: in training mode the output is <c>γ (x̂·r + d) + β</c>, where
/// <c>r = √(σ² + ε) / s</c> and <c>d = (μ − m) / s</c> pull the batch towards the renormalization averages
/// <c>m</c> and <c>s</c>, and are constants for the gradient.
/// </summary>
/// <remarks>
/// Source: Ioffe, 2017, "Batch Renormalization" (arXiv 1702.03275); Keras's <c>renorm</c>,
/// <c>renorm_clipping</c> and <c>renorm_momentum</c>.
/// </remarks>
public sealed record RenormOptions
{
    /// <summary>The lower limit of <c>r</c>, at least 0 and below <see cref="RMax"/>. Default: none.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or NaN.</exception>
    public double? RMin { get; init => field = Check.NotNegative(value, nameof(RMin)); }

    /// <summary>The upper limit of <c>r</c>, at least 0 and above <see cref="RMin"/>. Default: none.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or NaN.</exception>
    public double? RMax { get; init => field = Check.NotNegative(value, nameof(RMax)); }

    /// <summary><c>d</c> is kept within ±<see cref="DMax"/>, at least 0. Default: none.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or NaN.</exception>
    public double? DMax { get; init => field = Check.NotNegative(value, nameof(DMax)); }

    /// <summary>
    /// The share of the old renormalization average that stays, from 0 to 1. Default: 0.99
    /// (Keras's <c>renorm_momentum</c>).
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not between 0 and 1.</exception>
    public double Momentum { get; init => field = Check.Momentum(value, nameof(Momentum)); } = 0.99;
}
