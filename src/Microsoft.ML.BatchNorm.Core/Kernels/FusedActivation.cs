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
