using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.Tests.Training;

/// <summary>The values of RFC 3720, appendix B.4, whose bytes are those of floats here.</summary>
[TestClass]
public class RowChecksumTests
{
    static readonly byte[] ascending = [.. Enumerable.Range(0, 32).Select(value => (byte)value)];

    [TestMethod]
    public void It_is_CRC_32C_of_the_numbers_as_little_endian_bytes()
    {
        Assert.AreEqual(0x8A9136AAu, Of(new byte[32], 8));
        Assert.AreEqual(0x62A8AB43u, Of([.. Enumerable.Repeat((byte)0xFF, 32)], 8));
        Assert.AreEqual(0x46DD794Eu, Of(ascending, 8));
    }

    [TestMethod]
    public void It_does_not_depend_on_how_the_numbers_are_split()
    {
        for (int first = 0; first <= 8; first++)
            Assert.AreEqual(0x46DD794Eu, Of(ascending, first), $"{first} numbers first");
    }

    static uint Of(byte[] bytes, int first)
    {
        float[] values = [.. MemoryMarshal.Cast<byte, int>(bytes).ToArray().Select(BitConverter.Int32BitsToSingle)];
        var checksum = new RowChecksum();
        checksum.Append(values.AsSpan(0, first));
        checksum.Append(values.AsSpan(first));
        return checksum.Value;
    }
}
