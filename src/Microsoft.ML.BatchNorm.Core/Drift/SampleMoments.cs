namespace Microsoft.ML.BatchNorm;

/// <summary>What a test knows of one channel on one side.</summary>
/// <param name="Count">The independent observations: infinite where the moments are taken as exact.</param>
/// <param name="Mean">The mean, in the input's unit.</param>
/// <param name="Variance">The sample variance; NaN where a single value leaves it open.</param>
readonly record struct SampleMoments(double Count, double Mean, double Variance)
{
    /// <summary>M2 as its degrees of freedom go into a pooled variance; 0 for one observation.</summary>
    public double PooledSquares => Count > 1 ? (Count - 1) * Variance : 0;
}
