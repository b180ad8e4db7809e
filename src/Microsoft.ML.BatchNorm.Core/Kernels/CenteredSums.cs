using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// The sums of a shard's columns: <c>d = x − center</c> and <c>d²</c> in double. <see cref="ColumnMoments{T}"/> tells
/// what they lose.
/// </summary>
static unsafe class CenteredSums
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(double* sum, Vector512<double> value) => (Vector512.Load(sum) + value).Store(sum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AddSquares(
        double* square, Vector512<double> a, Vector512<double> b, Vector512<double> c, Vector512<double> d) =>
        (Wide.MultiplyAdd(a, a, Wide.MultiplyAdd(b, b, Vector512.Load(square))) + Wide.MultiplyAdd(c, c, d * d))
        .Store(square);

    /// <summary>Turns the sums of eight columns into moments; false where one is not finite.</summary>
    public static bool Store(double* center, double* sum, double* square, int rows, Moments result)
    {
        Vector512<double> count = Vector512.Create((double)rows), sums = Vector512.Load(sum);
        Vector512<double> shift = sums / count, squares = Vector512.Load(square);
        Vector512<double> mean = Vector512.Load(center), meanRest = default;
        MomentsMerge.Add(ref mean, ref meanRest, shift);
        count.Store(result.Count);
        mean.Store(result.Mean);
        meanRest.Store(result.MeanRest);
        Vector512<double>.Zero.Store(result.M2Rest);
        Vector512.Max(squares - sums * shift, Vector512<double>.Zero).Store(result.M2);
        return Lanes.AreFinite(squares);
    }
}
