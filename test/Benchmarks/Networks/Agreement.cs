namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>Peers do the same work: what they compute is the same, but for rounding.</summary>
static class Agreement
{
    const float Tolerance = 1e-3f;

    public static void Check(string what, ReadOnlySpan<float> ours, ReadOnlySpan<float> theirs)
    {
        if (ours.Length != theirs.Length)
            throw new InvalidOperationException($"{what}: ours has {ours.Length} values, the peer's {theirs.Length}.");
        for (int i = 0; i < ours.Length; i++)
        {
            if (!(MathF.Abs(ours[i] - theirs[i]) <= Tolerance * (1 + MathF.Abs(ours[i]))))
                throw new InvalidOperationException($"{what}, value {i}: ours is {ours[i]}, the peer's {theirs[i]}.");
        }
    }
}
