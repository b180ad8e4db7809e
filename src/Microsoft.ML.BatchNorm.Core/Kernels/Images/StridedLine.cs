using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>Every n-th float of a line of memory, sixteen at a time.</summary>
static unsafe class StridedLine
{
    const int Lanes = 16;

    /// <summary>The floats that a vector of them spans.</summary>
    public static int Reach(int stride) => Lanes * Math.Max(stride, 2);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* source, int stride) => stride switch
    {
        1 => Vector512.Load(source),
        // The lower half of each pair.
        2 when BitConverter.IsLittleEndian => Vector512.Narrow(
            Vector512.Load((ulong*)source), Vector512.Load((ulong*)(source + Lanes))).AsSingle(),
        _ => Gather(source, stride),
    };

    /// <summary>Adds the first <paramref name="count"/> values of a line to every n-th float.</summary>
    /// <remarks>Of the target, as many floats as a vector has may be read and written as they were.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(float* source, int count, float* target, int stride)
    {
        if (stride == 1)
        {
            int i = 0;
            for (; i <= count - Lanes; i += Lanes)
                (Vector512.Load(target + i) + Vector512.Load(source + i)).Store(target + i);
            if (i < count)
            {
                Vector512<float> inside =
                    Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(count - i)).AsSingle();
                (Vector512.Load(target + i) + (Vector512.Load(source + i) & inside)).Store(target + i);
            }
            return;
        }
        for (int i = 0; i < count; i++)
            target[(nint)i * stride] += source[i];
    }

    static Vector512<float> Gather(float* source, int stride)
    {
        Vector512<float> values = default;
        for (int i = 0; i < Lanes; i++)
            ((float*)&values)[i] = source[(nint)i * stride];
        return values;
    }
}
