using System.Reflection;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.TorchSharp.Runtime;

/// <summary>Why a native library is not loaded.</summary>
/// <param name="File">The library; null if it is missing.</param>
/// <param name="Reason">Why the loader refuses it, in the loader's own words.</param>
sealed record LoadFault(string? File, string Reason);

/// <summary>Loads TorchSharp's native libraries from where the runtime looks for them or NuGet put them.</summary>
static class NativeLoader
{
    /// <summary>The folder of TorchSharp's package, if it is used from there, as in a notebook or a script.</summary>
    static readonly string? package = FindPackage();

    /// <summary>The folder of all packages, if TorchSharp is used from there.</summary>
    public static string? Packages { get; } = Path.GetDirectoryName(Path.GetDirectoryName(package));

    /// <summary>The version of libtorch that TorchSharp is built for; null if it is not known.</summary>
    /// <remarks><see cref="torch.__version__"/> tells it too, but not before TorchSharp has loaded it.</remarks>
    public static string? LibtorchVersion { get; } =
        typeof(torch).GetField("libtorchPackageVersion", BindingFlags.NonPublic | BindingFlags.Static)
            ?.GetRawConstantValue() is string text && Version.TryParse(text, out Version? version)
            ? version.ToString(version.Revision > 0 ? 4 : 3)
            : null;

    static IEnumerable<string> Folders =>
    [
        .. (AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string ?? "").Split(Path.PathSeparator),
        AppContext.BaseDirectory, Path.GetDirectoryName(typeof(torch).Assembly.Location) ?? "", .. PackageFolders,
    ];

    /// <summary>
    /// Where packages have native libraries. On Linux alone, a library need not lie beside those that it needs.
    /// </summary>
    static IEnumerable<string> PackageFolders =>
        package is not null && OperatingSystem.IsLinux()
            ? [
                Path.Combine(Packages!, "libtorch-cpu-linux-x64", LibtorchVersion ?? "", Natives),
                Path.Combine(package, Natives),
            ]
            : [];

    static string Natives => Path.Combine("runtimes", "linux-x64", "native");

    /// <summary>The name of a library's file.</summary>
    public static string FileName(string name) =>
        OperatingSystem.IsWindows() ? $"{name}.dll" : OperatingSystem.IsMacOS() ? $"lib{name}.dylib" : $"lib{name}.so";

    /// <summary>Loads a library.</summary>
    /// <returns>Null if it is loaded.</returns>
    public static LoadFault? Load(string name)
    {
        if (IsFoundByRuntime(name))
            return null;
        string? file = Folders.Where(folder => folder.Length > 0)
            .Select(folder => Path.Combine(folder, FileName(name))).FirstOrDefault(File.Exists);
        if (file is null)
            return new(null, $"{FileName(name)} is missing");
        return LoadFile(file) is { } reason ? new(file, reason) : null;
    }

    /// <summary>Loads a library if the runtime finds it by its name, as TorchSharp loads it.</summary>
    public static bool IsFoundByRuntime(string name) =>
        NativeLibrary.TryLoad(name, typeof(torch).Assembly, null, out _);

    /// <summary>Loads a file.</summary>
    /// <returns>Null if it is loaded, else why not.</returns>
    public static string? LoadFile(string file)
    {
        try
        {
            NativeLibrary.Load(file);
            return null;
        }
        catch (Exception error) when (error is DllNotFoundException or BadImageFormatException)
        {
            // The loader's own words stand in the last line, behind advice for debugging.
            return error.Message.TrimEnd().Split('\n')[^1];
        }
    }

    static string? FindPackage()
    {
        string? library = Path.GetDirectoryName(typeof(torch).Assembly.Location);
        string? package = Path.GetDirectoryName(Path.GetDirectoryName(library));
        string? name = Path.GetFileName(Path.GetDirectoryName(package));
        return string.Equals(name, "torchsharp", StringComparison.OrdinalIgnoreCase) ? package : null;
    }
}
