using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm.Inference;

/// <summary>Looks for features that are not finite.</summary>
static class FiniteFeatures
{
    public static bool Hold(ReadOnlySpan<float> features)
    {
        ref float first = ref MemoryMarshal.GetReference(features);
        int lanes = Vector512<float>.Count, i = 0;
        Vector512<float> even = Vector512<float>.Zero, odd = even;
        for (; i <= features.Length - 2 * lanes; i += 2 * lanes)
        {
            even = Vectors.Poison(Vector512.LoadUnsafe(ref first, (nuint)i), even);
            odd = Vectors.Poison(Vector512.LoadUnsafe(ref first, (nuint)(i + lanes)), odd);
        }
        float poison = 0;
        for (; i < features.Length; i++)
            poison += features[i] * 0;
        return poison == 0 && Vector512.EqualsAll(even + odd, Vector512<float>.Zero);
    }

    public static void Throw(ReadOnlySpan<float> features, int inputs)
    {
        for (int i = 0; i < features.Length; i++)
        {
            if (!float.IsFinite(features[i]))
                throw new InvalidDataException(
                    $"Feature {i % inputs} of row {i / inputs} is {features[i]}; the network's batch normalization "
                    + "needs finite values. Replace it, or set NonFinite.Ignore in the layer's options.");
        }
    }
}
