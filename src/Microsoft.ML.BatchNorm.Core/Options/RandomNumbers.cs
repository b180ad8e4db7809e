using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Random numbers that are the same on every runtime, and normally distributed ones from a <see cref="Random"/>.
/// </summary>
static class RandomNumbers
{
    const ulong Weyl = 0x9E3779B97F4A7C15;

    /// <summary>The next number of SplitMix64 (Steele, Lea and Flood, 2014).</summary>
    public static ulong Next(ref ulong state) => Mix(unchecked(state += Weyl));

    /// <summary>SplitMix64's mixing: close numbers become ones that are not related.</summary>
    public static ulong Mix(ulong z)
    {
        unchecked
        {
            z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
            z = (z ^ z >> 27) * 0x94D049BB133111EB;
            return z ^ z >> 31;
        }
    }

    /// <summary>A normal number with mean 0 (Box and Muller, 1958).</summary>
    public static double NextNormal(Random random, double standardDeviation = 1)
    {
        // 1 − u keeps the logarithm's argument off zero.
        double radius = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()));
        return standardDeviation * radius * Math.Cos(Math.Tau * random.NextDouble());
    }

    /// <summary>
    /// Philox4x32-10 (Salmon and others, 2011): turns the four words of eight counters into four random words each,
    /// which depend on the counter and the key alone. Each word is in the lower half of its lane.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Philox(
        uint firstKey, uint secondKey, ref Vector512<ulong> w0, ref Vector512<ulong> w1, ref Vector512<ulong> w2,
        ref Vector512<ulong> w3)
    {
        const int rounds = 10;
        const ulong firstFactor = 0xD2511F53, secondFactor = 0xCD9E8D57;
        const uint firstWeyl = 0x9E3779B9, secondWeyl = 0xBB67AE85;
        Vector512<ulong> low = Vector512.Create((ulong)uint.MaxValue);
        for (int round = 0; round < rounds; round++)
        {
            Vector512<ulong> first = w0 * firstFactor, second = w2 * secondFactor;
            Vector512<ulong> next0 = (second >>> 32) ^ w1 ^ Vector512.Create((ulong)firstKey);
            Vector512<ulong> next2 = (first >>> 32) ^ w3 ^ Vector512.Create((ulong)secondKey);
            (w0, w1, w2, w3) = (next0, second & low, next2, first & low);
            firstKey = unchecked(firstKey + firstWeyl);
            secondKey = unchecked(secondKey + secondWeyl);
        }
    }
}
