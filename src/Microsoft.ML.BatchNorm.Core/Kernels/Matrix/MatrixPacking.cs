using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>Writes one panel of a <see cref="PackedMatrix"/>.</summary>
static unsafe class MatrixPacking
{
    public const int Lanes = 16;

    /// <summary>From rows of the panel's columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rows(float* source, nint stride, int steps, int columns, float* panel)
    {
        if (columns > Lanes)
        {
            for (int k = 0; k < steps; k++, source += stride, panel += 2 * Lanes)
            {
                Vector512.Load(source).StoreAligned(panel);
                Partial.Load(source + Lanes, columns - Lanes).StoreAligned(panel + Lanes);
            }
        }
        else
        {
            for (int k = 0; k < steps; k++, source += stride, panel += Lanes)
                Partial.Load(source, columns).StoreAligned(panel);
        }
    }

    /// <summary>From one row for each of the panel's columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Columns(float* source, nint stride, int steps, int columns, float* panel)
    {
        int width = columns > Lanes ? 2 * Lanes : Lanes;
        for (int column = 0; column < width; column++, source += stride)
        {
            for (int k = 0; k < steps; k++)
                panel[(nint)k * width + column] = column < columns ? source[k] : 0;
        }
    }
}
