namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>Pointers to counts, means and sums of squared deviations, which lie behind each other.</summary>
readonly unsafe struct Moments(double* count, double* mean, double* m2)
{
    public readonly double* Count = count, Mean = mean, M2 = m2;

    /// <summary>Three arrays of <paramref name="length"/> each in <paramref name="memory"/>.</summary>
    public static Moments In(double* memory, int length) => new(memory, memory + length, memory + 2 * (nint)length);

    public Moments At(int index) => new(Count + index, Mean + index, M2 + index);
}
