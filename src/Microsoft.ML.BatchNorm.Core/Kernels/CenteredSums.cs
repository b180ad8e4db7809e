using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// The sums of a shard's columns: <c>d = x − center</c> and <c>d²</c> in double. <see cref="ColumnMoments{T}"/> tells what
/// they lose.
/// </summary>
static unsafe class CenteredSums
{
    /// <summary>Adds four values of each of eight columns, and gives the sums of their deviations.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> AddFour(
        Vector512<double> a, Vector512<double> b, Vector512<double> c, Vector512<double> d,
        double* center, double* sum, double* square)
    {
        Vector512<double> centers = Vector512.Load(center);
        a -= centers;
        b -= centers;
        c -= centers;
        d -= centers;
        Vector512<double> deviations = (a + b) + (c + d);
        (Vector512.Load(sum) + deviations).Store(sum);
        (Wide.MultiplyAdd(a, a, Wide.MultiplyAdd(b, b, Vector512.Load(square))) + Wide.MultiplyAdd(c, c, d * d)).Store(square);
        return deviations;
    }

    /// <summary>Adds one value of each of eight columns, and gives the deviations.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> AddOne(Vector512<double> a, double* center, double* sum, double* square)
    {
        a -= Vector512.Load(center);
        (Vector512.Load(sum) + a).Store(sum);
        (Vector512.Load(square) + a * a).Store(square);
        return a;
    }

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
