using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// An activation whose slope its output tells, in the same pass as the normalization before it. NaN stays NaN.
/// </summary>
interface IFusedActivation
{
    static abstract bool IsUsed { get; }

    Vector512<float> Forward(Vector512<float> x);

    Vector512<float> Backward(Vector512<float> y, Vector512<float> dy);
}

readonly struct NoActivation : IFusedActivation
{
    public static bool IsUsed => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Forward(Vector512<float> x) => x;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> y, Vector512<float> dy) => dy;
}

readonly struct FusedReLU : IFusedActivation
{
    public static bool IsUsed => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Forward(Vector512<float> x) =>
        Vector512.ConditionalSelect(Vector512.LessThanOrEqual(x, Vector512<float>.Zero), Vector512<float>.Zero, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> y, Vector512<float> dy) =>
        Vector512.ConditionalSelect(Vector512.LessThanOrEqual(y, Vector512<float>.Zero), Vector512<float>.Zero, dy);
}

/// <param name="slope">At least 0, so that the output has the input's sign.</param>
readonly struct FusedLeakyReLU(float slope) : IFusedActivation
{
    public static bool IsUsed => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Forward(Vector512<float> x) => Slope(x, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> y, Vector512<float> dy) => Slope(y, dy);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    Vector512<float> Slope(Vector512<float> at, Vector512<float> value) =>
        Vector512.ConditionalSelect(
            Vector512.LessThanOrEqual(at, Vector512<float>.Zero), value * Vector512.Create(slope), value);
}
