namespace Microsoft.ML.BatchNorm;

/// <summary>Finds what is not finite, once it is known that there is something.</summary>
static class FiniteSearch
{
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
