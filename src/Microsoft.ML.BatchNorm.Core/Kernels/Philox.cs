using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// Philox4x32-10 (Salmon and others, 2011): random numbers that are a function of a counter and a key, eight counters
/// at a time. Each word is in the lower half of its lane.
/// </summary>
static class Philox
{
    const int Rounds = 10;
    const ulong FirstFactor = 0xD2511F53, SecondFactor = 0xCD9E8D57;
    const uint FirstWeyl = 0x9E3779B9, SecondWeyl = 0xBB67AE85;

    /// <summary>Turns the four words of counters into four random words.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Draw(
        uint firstKey, uint secondKey, ref Vector512<ulong> w0, ref Vector512<ulong> w1, ref Vector512<ulong> w2,
        ref Vector512<ulong> w3)
    {
        Vector512<ulong> low = Vector512.Create((ulong)uint.MaxValue);
        for (int round = 0; round < Rounds; round++)
        {
            Vector512<ulong> first = w0 * FirstFactor, second = w2 * SecondFactor;
            Vector512<ulong> next0 = (second >>> 32) ^ w1 ^ Vector512.Create((ulong)firstKey);
            Vector512<ulong> next2 = (first >>> 32) ^ w3 ^ Vector512.Create((ulong)secondKey);
            (w0, w1, w2, w3) = (next0, second & low, next2, first & low);
            firstKey = unchecked(firstKey + FirstWeyl);
            secondKey = unchecked(secondKey + SecondWeyl);
        }
    }
}
