using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>A function of each value of an array; a value's bits do not depend on where it stands.</summary>
static unsafe class VectorMap
{
    const int Lanes = 16;

    public static void Run(Activation function, float negativeSlope, float* x, float* y, nint length)
    {
        switch (function)
        {
            case Activation.ReLU: Run(new ReLUMap(), x, y, length); break;
            case Activation.LeakyReLU: Run(new LeakyReLUMap(negativeSlope), x, y, length); break;
            case Activation.Gelu: Run(new GeluMap(), x, y, length); break;
            case Activation.Sigmoid: Run(new SigmoidMap(), x, y, length); break;
            default: Run(new TanhMap(), x, y, length); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Run<TMap>(TMap map, float* x, float* y, nint length) where TMap : struct, IVectorMap
    {
        nint i = 0;
        for (; i <= length - 4 * Lanes; i += 4 * Lanes)
        {
            map.Map(Vector512.Load(x + i)).Store(y + i);
            map.Map(Vector512.Load(x + i + Lanes)).Store(y + i + Lanes);
            map.Map(Vector512.Load(x + i + 2 * Lanes)).Store(y + i + 2 * Lanes);
            map.Map(Vector512.Load(x + i + 3 * Lanes)).Store(y + i + 3 * Lanes);
        }
        for (; i < length; i += Lanes)
        {
            int count = (int)nint.Min(Lanes, length - i);
            Partial.Store(map.Map(Partial.Load(x + i, count)), y + i, count);
        }
    }
}
