using System.Buffers.Binary;
using System.Numerics;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>CRC-32C (Castagnoli; RFC 3720, appendix B.4) of bytes that arrive in pieces.</summary>
struct Crc32C()
{
    uint register = uint.MaxValue;

    public readonly uint Value => ~register;

    public void Append(ReadOnlySpan<byte> bytes)
    {
        uint crc = register;
        for (; bytes.Length >= sizeof(ulong); bytes = bytes[sizeof(ulong)..])
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        foreach (byte value in bytes)
            crc = BitOperations.Crc32C(crc, value);
        register = crc;
    }
}
