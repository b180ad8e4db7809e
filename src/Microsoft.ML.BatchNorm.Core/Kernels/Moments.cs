namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// Pointers to counts, means and sums of squared deviations, by channel, each mean and sum with the rest that its
/// double does not hold.
/// </summary>
readonly unsafe struct Moments(double* count, double* mean, double* m2, double* meanRest, double* m2Rest)
{
    /// <summary>The arrays of one value a channel.</summary>
    public const int Arrays = 5;

    public readonly double* Count = count, Mean = mean, M2 = m2, MeanRest = meanRest, M2Rest = m2Rest;

    /// <summary>
    /// <see cref="Arrays"/> of <paramref name="length"/> each behind each other in <paramref name="memory"/>.
    /// </summary>
    public static Moments In(double* memory, int length) => new(
        memory, memory + length, memory + 2 * (nint)length, memory + 3 * (nint)length, memory + 4 * (nint)length);

    public Moments At(int index) => new(Count + index, Mean + index, M2 + index, MeanRest + index, M2Rest + index);

    public void Clear() => *Count = *Mean = *M2 = *MeanRest = *M2Rest = 0;
}
