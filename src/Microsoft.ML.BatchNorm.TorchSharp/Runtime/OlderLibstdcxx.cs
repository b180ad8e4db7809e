using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Win32.SafeHandles;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// Loads TorchSharp's native library on Linux systems whose libstdc++ is a little older than the one it was built with.
/// </summary>
/// <remarks>
/// GCC 13 and later leave a marker in every library that uses <c>iostream</c>: a symbol of version GLIBCXX_3.4.32 that
/// no code refers to. The libstdc++ of Debian 12 and Ubuntu 22.04 ends at GLIBCXX_3.4.30, so their loader refuses
/// TorchSharp 0.107. If only the marker needs the missing version, this class loads a copy of the library in which that
/// need is weak. The copy is in memory: the package's file does not change, and no other user can change what is
/// loaded. Remove this class when TorchSharp's library is built with an older GCC again, or when Debian 12 and Ubuntu
/// 22.04 are no longer supported (2028).
/// </remarks>
static partial class OlderLibstdcxx
{
    const uint NeededVersions = 0x6ffffffe, SymbolVersions = 0x6fffffff, CloseOnExec = 1;

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

    /// <summary>Makes the library's need for a version weak, if only the marker needs it.</summary>
    /// <returns>Whether it did. If not, the library is unchanged.</returns>
    internal static bool Weaken(Span<byte> library, string version)
    {
        try
        {
            // 64 bits, the lowest byte first.
            if (!library.StartsWith("\u007fELF\u0002\u0001"u8))
                return false;
            Section[] sections = Values<Section>(
                library, MemoryMarshal.Read<ulong>(library[40..]), 64u * MemoryMarshal.Read<ushort>(library[60..]));
            Section needs = sections.Single(section => section.Type == NeededVersions);
            Section indices = sections.Single(section => section.Type == SymbolVersions);
            Section symbols = sections[indices.Link], strings = sections[symbols.Link];
            byte[] names = Values<byte>(library, strings.Offset, strings.Size);
            Span<byte> need = Find(library[checked((int)needs.Offset)..], names, version);
            if (need.IsEmpty)
                return false;
            ushort[] used = Values<ushort>(library, indices.Offset, indices.Size);
            int index = MemoryMarshal.Read<Version>(need).Index;
            Symbol[] users = [.. Values<Symbol>(library, symbols.Offset, symbols.Size)
                .Where((_, i) => (used[i] & 0x7fff) == index)];
            if (users is not [Symbol user] || !IsName(names, user.Name, "_ZSt21ios_base_library_initv"))
                return false;
            need[4] |= 2;
            return true;
        }
        catch (Exception error) when (error
            is ArgumentException or IndexOutOfRangeException or InvalidOperationException or OverflowException)
        {
            // The file is damaged.
            return false;
        }
    }

    /// <summary>The need for a version, with what follows it; empty if there is none.</summary>
    static Span<byte> Find(Span<byte> needs, byte[] names, string version)
    {
        while (true)
        {
            Need need = MemoryMarshal.Read<Need>(needs);
            Span<byte> versions = needs[checked((int)need.First)..];
            for (int i = 0; i < need.Count; i++)
            {
                Version found = MemoryMarshal.Read<Version>(versions);
                if (IsName(names, found.Name, version))
                    return versions;
                versions = versions[checked((int)found.Next)..];
            }
            if (need.Next == 0)
                return [];
            needs = needs[checked((int)need.Next)..];
        }
    }

    static bool IsName(byte[] names, uint offset, string name) =>
        names.AsSpan(checked((int)offset)).StartsWith(Encoding.UTF8.GetBytes(name + '\0'));

    static T[] Values<T>(ReadOnlySpan<byte> library, ulong offset, ulong size) where T : struct =>
        MemoryMarshal.Cast<byte, T>(library.Slice(checked((int)offset), checked((int)size))).ToArray();

    static string? LoadFromMemory(byte[] library)
    {
        int file = CreateMemoryFile("libLibTorchSharp.so", CloseOnExec);
        if (file < 0)
            return $"memfd_create: {Marshal.GetLastPInvokeErrorMessage()}";
        using var handle = new SafeFileHandle(file, ownsHandle: true);
        RandomAccess.Write(handle, library, 0);
        return NativeLoader.LoadFile($"/proc/self/fd/{file}");
    }

    [GeneratedRegex(@"version `(?<version>[^']+)' not found \(required by (?<library>.+)\)$")]
    private static partial Regex MissingVersion();

    [LibraryImport(
        "libc", EntryPoint = "memfd_create", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int CreateMemoryFile(string name, uint flags);

    // As in elf.h.
    readonly record struct Section(
        uint Name, uint Type, ulong Flags, ulong Address, ulong Offset, ulong Size, uint Link, uint Info,
        ulong Alignment, ulong EntrySize);

    readonly record struct Symbol(uint Name, uint Kind, ulong Value, ulong Size);

    readonly record struct Need(ushort Format, ushort Count, uint File, uint First, uint Next);

    readonly record struct Version(uint Hash, ushort Flags, ushort Index, uint Name, uint Next);
}
