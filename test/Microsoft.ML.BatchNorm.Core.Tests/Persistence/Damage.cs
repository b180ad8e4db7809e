using Microsoft.ML.BatchNorm.Persistence;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>What holds for the loading of any damaged file, in either format.</summary>
static class Damage
{
    public static void EveryTruncationIsInvalid<T>(byte[] bytes, Func<byte[], T> load)
    {
        for (int length = 0; length < bytes.Length; length++)
        {
            byte[] cut = bytes[..length];
            States.IsInvalid(() => load(cut), "truncated");
        }
    }

    public static void EveryFlippedBitIsInvalid<T>(byte[] bytes, Func<byte[], T> load)
    {
        for (int bit = 0; bit < bytes.Length * 8; bit++)
        {
            byte[] flipped = [.. bytes];
            flipped[bit / 8] ^= (byte)(1 << bit % 8);
            try
            {
                load(flipped);
            }
            catch (InvalidDataException error)
            {
                States.IsSentence(error.Message);
                continue;
            }
            Assert.Fail($"bit {bit % 8} of byte {bit / 8} may flip unnoticed");
        }
    }

    /// <summary>
    /// Loads what may be damaged within bounds of memory, so many bytes of each of the file's; null when it was
    /// refused.
    /// </summary>
    public static T? TryLoad<T>(byte[] bytes, Func<byte[], T> load, int ofEach = 8) where T : class
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        T? state = null;
        string? refusal = null;
        try
        {
            state = load(bytes);
        }
        catch (InvalidDataException error)
        {
            refusal = error.Message;
        }
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        long bound = 64 * 1024 + (long)ofEach * bytes.Length;
        if (allocated > bound)
            Assert.Fail($"{bytes.Length} bytes made loading allocate {allocated}, over {bound}");
        if (refusal is not null)
            States.IsSentence(refusal);
        return state;
    }

    /// <returns>How many of the mutations were refused.</returns>
    public static int Mutate<T>(byte[] original, int count, int seed, Func<byte[], T> load, int ofEach = 8)
        where T : class
    {
        T expected = load(original);
        var random = new Random(seed);
        int refused = 0;
        for (int i = 0; i < count; i++)
        {
            byte[] bytes = Mutation.Of(original, random);
            T? state = TryLoad(bytes, load, ofEach);
            if (state is null)
                refused++;
            else if (!state.Equals(expected))
                Assert.Fail($"mutation {i} of seed {seed} was loaded as another state");
        }
        return refused;
    }

    public static byte[] WithChecksum(byte[] bytes)
    {
        if (bytes.Length < sizeof(uint))
            return bytes;
        var checksum = new Crc32C();
        checksum.Append(bytes.AsSpan(0, bytes.Length - sizeof(uint)));
        return [.. bytes[..^sizeof(uint)], .. BitConverter.GetBytes(checksum.Value)];
    }
}
