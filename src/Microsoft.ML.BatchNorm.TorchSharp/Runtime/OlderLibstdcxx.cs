using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Win32.SafeHandles;

namespace Microsoft.ML.BatchNorm.TorchSharp.Runtime;

/// <summary>
/// Loads TorchSharp's native library on Linux systems whose libstdc++ is a little older than the one it was built with.
/// </summary>
/// <remarks>
/// GCC 13 and later leave a marker in every library that uses <c>iostream</c>: a symbol of version GLIBCXX_3.4.32 that
/// no code refers to. The libstdc++ of Debian 12 and Ubuntu 22.04 ends at GLIBCXX_3.4.30, so their loader refuses
/// TorchSharp 0.107. If nothing but the marker needs the missing version, this loads a copy in which the need for it is
/// weak. The copy is in memory: the package's file stays as it is, and no other user can write what is loaded. This
/// class can go once TorchSharp's library is built with an older GCC again, or nobody supports Debian 12 and Ubuntu
/// 22.04 any more (2028).
/// </remarks>
static partial class OlderLibstdcxx
{
    const uint NeededVersions = 0x6ffffffe, SymbolVersions = 0x6fffffff, CloseOnExec = 1;
    const int IndexBits = 0x7fff, Weak = 2, FlagsOffset = 4;

    /// <summary>Loads the library that the loader has refused; libtorch must be loaded already.</summary>
    /// <returns>Null if the library is loaded now.</returns>
    public static LoadFault? Load(LoadFault fault)
    {
        Match missing = MissingVersion().Match(fault.Reason);
        if (!OperatingSystem.IsLinux() || !missing.Success || missing.Groups["library"].Value != fault.File)
            return fault;
        byte[] library = File.ReadAllBytes(fault.File);
        if (!Weaken(library, missing.Groups["version"].Value))
            return fault;
        return LoadFromMemory(library) is { } reason ? fault with { Reason = reason } : null;
    }

    /// <summary>Makes the library's need for a version weak, if the marker alone has it.</summary>
    /// <returns>Whether it did. If not, the library is unchanged.</returns>
    internal static bool Weaken(Span<byte> library, string version)
    {
        try
        {
            // 64 bits, the lowest byte first.
            if (!library.StartsWith("\u007fELF\u0002\u0001"u8))
                return false;
            var sections = MemoryMarshal.Cast<byte, Section>(
                library.Slice(Integer(Read<ulong>(library, 40)), Read<ushort>(library, 60) * 64));
            Section indices = Only(sections, SymbolVersions), needs = Only(sections, NeededVersions);
            Section symbols = sections[Integer(indices.Link)];
            ReadOnlySpan<byte> names = Bytes(library, sections[Integer(symbols.Link)]);
            return Find(Bytes(library, needs), names, version) is { IsEmpty: false } need
                && IsForMarkerAlone(
                    MemoryMarshal.Cast<byte, Symbol>(Bytes(library, symbols)),
                    MemoryMarshal.Cast<byte, ushort>(Bytes(library, indices)), names, Read<Version>(need, 0).Index)
                && (need[FlagsOffset] |= Weak) != 0;
        }
        catch (Exception error) when
            (error is ArgumentException or IndexOutOfRangeException or InvalidOperationException or OverflowException)
        {
            // A damaged file.
            return false;
        }
    }

    /// <summary>The bytes of the need for a version; none if there is no such need.</summary>
    static Span<byte> Find(Span<byte> needs, ReadOnlySpan<byte> names, string version)
    {
        ReadOnlySpan<byte> name = Encoding.UTF8.GetBytes(version + '\0');
        while (true)
        {
            Need need = Read<Need>(needs, 0);
            Span<byte> versions = needs[Integer(need.First)..];
            for (int i = 0; i < need.Count; i++)
            {
                Version found = Read<Version>(versions, 0);
                if (names[Integer(found.Name)..].StartsWith(name))
                    return versions;
                versions = versions[Integer(found.Next)..];
            }
            if (need.Next == 0)
                return default;
            needs = needs[Integer(need.Next)..];
        }
    }

    static bool IsForMarkerAlone(
        ReadOnlySpan<Symbol> symbols, ReadOnlySpan<ushort> indices, ReadOnlySpan<byte> names, int version)
    {
        int users = 0;
        for (int i = 0; i < symbols.Length; i++)
        {
            if ((indices[i] & IndexBits) != version)
                continue;
            users++;
            if (!names[Integer(symbols[i].Name)..].StartsWith("_ZSt21ios_base_library_initv\0"u8))
                return false;
        }
        return users == 1;
    }

    static string? LoadFromMemory(byte[] library)
    {
        int file = CreateMemoryFile("libLibTorchSharp.so", CloseOnExec);
        if (file < 0)
            return $"memfd_create: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}";
        using var handle = new SafeFileHandle(file, ownsHandle: true);
        RandomAccess.Write(handle, library, 0);
        return NativeLoader.LoadFile($"/proc/self/fd/{file}");
    }

    static Section Only(ReadOnlySpan<Section> sections, uint type)
    {
        foreach (Section section in sections)
        {
            if (section.Type == type)
                return section;
        }
        throw new InvalidOperationException();
    }

    static Span<byte> Bytes(Span<byte> library, Section section) =>
        library.Slice(Integer(section.Offset), Integer(section.Size));

    static T Read<T>(ReadOnlySpan<byte> bytes, int offset) where T : struct => MemoryMarshal.Read<T>(bytes[offset..]);

    static int Integer(ulong value) => checked((int)value);

    [GeneratedRegex(@"version `(?<version>[^']+)' not found \(required by (?<library>.+)\)$")]
    private static partial Regex MissingVersion();

    [LibraryImport("libc", EntryPoint = "memfd_create", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int CreateMemoryFile(string name, uint flags);

    readonly record struct Section(
        uint Name, uint Type, ulong Flags, ulong Address, ulong Offset, ulong Size, uint Link, uint Info,
        ulong Alignment, ulong EntrySize);

    readonly record struct Symbol(uint Name, uint Kind, ulong Value, ulong Size);

    readonly record struct Need(ushort Format, ushort Count, uint File, uint First, uint Next);

    readonly record struct Version(uint Hash, ushort Flags, ushort Index, uint Name, uint Next);
}
