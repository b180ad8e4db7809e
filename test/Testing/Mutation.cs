using System.Buffers.Binary;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>Random damage of several kinds to a file.</summary>
static class Mutation
{
    static readonly ulong[] extremes =
    [
        0, 1, 7, 8, 255, 65536, int.MaxValue, 1u << 31, uint.MaxValue, 100_000_000, 100_000_001, 1UL << 32,
        long.MaxValue, 1UL << 63, ulong.MaxValue, ulong.MaxValue - 7, 0x7FF0000000000000, 0xFFF8000000000000,
    ];

    public static byte[] Of(byte[] original, Random random)
    {
        byte[] bytes = original;
        int times = random.Next(4) == 0 ? random.Next(2, 6) : 1;
        for (int i = 0; i < times; i++)
            bytes = Once(bytes, random);
        return bytes;
    }

    static byte[] Once(byte[] bytes, Random random)
    {
        // Half of the damage goes where the lengths are.
        int reach = random.Next(2) == 0 ? Math.Min(bytes.Length, 400) : bytes.Length;
        int at = random.Next(reach + 1), length = random.Next(1, random.Next(2) == 0 ? 16 : 300);
        length = Math.Min(length, bytes.Length - at);
        switch (random.Next(7))
        {
            case 0:
                return bytes[..at];
            case 1:
                return [.. bytes[..at], .. bytes[(at + length)..]];
            case 2:
                byte[] inserted = new byte[random.Next(1, 40)];
                random.NextBytes(inserted);
                return [.. bytes[..at], .. inserted, .. bytes[at..]];
            case 3:
                return [.. bytes[..(at + length)], .. bytes[at..]];
            case 4:
                byte[] field = new byte[8];
                BinaryPrimitives.WriteUInt64LittleEndian(field, extremes[random.Next(extremes.Length)]);
                return Overwrite(bytes, random.Next(2) == 0 ? random.Next(24) : at, field[..(1 << random.Next(4))]);
            case 5:
                byte[] noise = new byte[Math.Max(length, 1)];
                random.NextBytes(noise);
                return Overwrite(bytes, at, noise);
            default:
                byte[] changed = [.. bytes];
                if (at < changed.Length)
                    changed[at] ^= (byte)(1 << random.Next(8));
                return changed;
        }
    }

    static byte[] Overwrite(byte[] bytes, int at, byte[] with)
    {
        byte[] changed = [.. bytes];
        for (int i = 0; i < with.Length && at + i < changed.Length; i++)
            changed[at + i] = with[i];
        return changed;
    }
}
