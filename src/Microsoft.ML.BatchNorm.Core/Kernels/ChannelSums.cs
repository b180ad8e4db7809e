using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>What pooling does to all channels of one place of an image.</summary>
static unsafe class ChannelSums
{
    const int Lanes = 16;

    /// <summary><c>target = max(target, source)</c>; NaN stays.</summary>
    public static void Max(float* source, float* target, int channels) => Run(new Greater(), source, target, channels);

    /// <summary><c>target += source</c>.</summary>
    public static void Add(float* source, float* target, int channels) => Run(new Sum(), source, target, channels);

    /// <summary><c>target /= divisor</c>.</summary>
    public static void Divide(float* target, float divisor, int channels) =>
        Run(new Quotient(divisor), target, target, channels);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Run<TOperation>(TOperation operation, float* source, float* target, int channels)
        where TOperation : struct, IOperation
    {
        for (int c = 0; c < channels; c += Lanes)
        {
            int count = Math.Min(Lanes, channels - c);
            Vector512<float> result = operation.Of(Partial.Load(source + c, count), Partial.Load(target + c, count));
            Partial.Store(result, target + c, count);
        }
    }

    interface IOperation
    {
        Vector512<float> Of(Vector512<float> source, Vector512<float> target);
    }

    readonly struct Greater : IOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Of(Vector512<float> source, Vector512<float> target) => Vector512.Max(source, target);
    }

    readonly struct Sum : IOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Of(Vector512<float> source, Vector512<float> target) => source + target;
    }

    readonly struct Quotient(float divisor) : IOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Of(Vector512<float> source, Vector512<float> target) =>
            source / Vector512.Create(divisor);
    }
}
