using System.Runtime.Intrinsics;
using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>Finds what is not finite.</summary>
static class FiniteSearch
{
    public static bool AreFinite(ReadOnlySpan<float> values)
    {
        for (; values.Length >= Vector512<float>.Count; values = values[Vector512<float>.Count..])
        {
            if (!Lanes.AreFinite(Vector512.Create(values)))
                return false;
        }
        return IndexOfNonFinite(values) < 0;
    }

    /// <summary>The first index of a value that is not finite, or −1.</summary>
    public static int IndexOfNonFinite(ReadOnlySpan<float> values)
    {
        for (int i = 0; i < values.Length; i++)
        {
            if (!float.IsFinite(values[i]))
                return i;
        }
        return -1;
    }
}
