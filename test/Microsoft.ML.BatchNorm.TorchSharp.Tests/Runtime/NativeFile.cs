using System.Buffers.Binary;
using System.Text;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Runtime;

/// <summary>A copy of TorchSharp's native library for Linux, and ways to make a system too old for it.</summary>
static class NativeFile
{
    const uint Symbols = 11, NeededVersions = 0x6ffffffe, SymbolVersions = 0x6fffffff;

    public static string Folder { get; } = Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native");

    public static byte[] Read() => File.ReadAllBytes(Path.Combine(Folder, "libLibTorchSharp.so"));

    /// <summary>Makes a version one that no system has: the loader looks for another hash.</summary>
    public static void Lose(Span<byte> library, string version) => library[Need(library, version)] ^= 1;

    /// <summary>Lets one of the symbols that need a version need another.</summary>
    public static void Move(Span<byte> library, string from, string to)
    {
        Span<byte> indices = library[Section(library, SymbolVersions)];
        ushort old = Index(library, from), index = Index(library, to);
        for (int i = 0; ; i += sizeof(ushort))
        {
            if (BinaryPrimitives.ReadUInt16LittleEndian(indices[i..]) != old)
                continue;
            BinaryPrimitives.WriteUInt16LittleEndian(indices[i..], index);
            return;
        }
    }

    /// <summary>The parts that tell which symbol needs which version.</summary>
    public static Range[] Parts(ReadOnlySpan<byte> library) =>
    [
        new(0, 64), new(Headers(library), ^0), Section(library, Symbols), Section(library, NeededVersions),
        Section(library, SymbolVersions),
    ];

    static ushort Index(ReadOnlySpan<byte> library, string version) =>
        BinaryPrimitives.ReadUInt16LittleEndian(library[(Need(library, version) + 6)..]);

    /// <summary>Where the need for a version is, which begins with the hash of its name.</summary>
    static int Need(ReadOnlySpan<byte> library, string version)
    {
        uint hash = 0;
        foreach (byte letter in Encoding.ASCII.GetBytes(version))
        {
            hash = (hash << 4) + letter;
            hash = (hash ^ ((hash & 0xf0000000) >> 24)) & 0x0fffffff;
        }
        byte[] need = new byte[6];
        BinaryPrimitives.WriteUInt32LittleEndian(need, hash);
        int offset = library.IndexOf(need);
        Assert.IsGreaterThan(0, offset);
        Assert.AreEqual(-1, library[(offset + 1)..].IndexOf(need));
        return offset;
    }

    static Range Section(ReadOnlySpan<byte> library, uint type)
    {
        for (int header = Headers(library); ; header += 64)
        {
            if (BinaryPrimitives.ReadUInt32LittleEndian(library[(header + 4)..]) != type)
                continue;
            int start = (int)Number(library, header + 24);
            return start..(start + (int)Number(library, header + 32));
        }
    }

    /// <summary>Where the list of sections begins.</summary>
    static int Headers(ReadOnlySpan<byte> library) => (int)Number(library, 40);

    static long Number(ReadOnlySpan<byte> library, int offset) =>
        BinaryPrimitives.ReadInt64LittleEndian(library[offset..]);
}
