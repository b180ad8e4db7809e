using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>A function of each value of an array; a value's bits do not depend on where it stands.</summary>
static unsafe class ActivationMap
{
    const int Lanes = 16;

    public static void Run(Activation function, float negativeSlope, float* x, float* y, nint length)
    {
        switch (function)
        {
            case Activation.ReLU: Run(new ReLUFunction(), x, y, length); break;
            case Activation.LeakyReLU: Run(new LeakyReLUFunction(negativeSlope), x, y, length); break;
            case Activation.Gelu: Run(new GeluFunction(), x, y, length); break;
            case Activation.Sigmoid: Run(new SigmoidFunction(), x, y, length); break;
            default: Run(new TanhFunction(), x, y, length); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Run<TFunction>(TFunction function, float* x, float* y, nint length)
        where TFunction : struct, IActivationFunction
    {
        nint i = 0;
        for (; i <= length - 4 * Lanes; i += 4 * Lanes)
        {
            function.Forward(Vector512.Load(x + i)).Store(y + i);
            function.Forward(Vector512.Load(x + i + Lanes)).Store(y + i + Lanes);
            function.Forward(Vector512.Load(x + i + 2 * Lanes)).Store(y + i + 2 * Lanes);
            function.Forward(Vector512.Load(x + i + 3 * Lanes)).Store(y + i + 3 * Lanes);
        }
        for (; i < length; i += Lanes)
        {
            int count = (int)nint.Min(Lanes, length - i);
            Partial.Store(function.Forward(Partial.Load(x + i, count)), y + i, count);
        }
    }
}
