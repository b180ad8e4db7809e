using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>CRC-32C of a part of a model entry: names, each as its length and its characters, then bytes.</summary>
static class EntryChecksum
{
    public static uint Of(ReadOnlySpan<byte> bytes, params ReadOnlySpan<string?> names)
    {
        var checksum = new Crc32C();
        foreach (string? name in names)
        {
            checksum.Append(BitConverter.GetBytes(name?.Length ?? -1));
            checksum.Append(MemoryMarshal.AsBytes(name.AsSpan()));
        }
        checksum.Append(bytes);
        return checksum.Value;
    }
}
