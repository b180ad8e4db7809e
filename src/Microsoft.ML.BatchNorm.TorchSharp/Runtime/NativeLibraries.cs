using System.Reflection;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp.Runtime;

/// <summary>
/// Loads libtorch and TorchSharp's own library before TorchSharp does, whose error is that of a type initializer, and
/// which writes to the console. The libtorch for CUDA that lies in package folders is left to TorchSharp.
/// </summary>
static class NativeLibraries
{
    static readonly Lazy<LoadFault?> cuda = new(() => NativeLoader.Load("torch_cuda"));
    static readonly Lazy<string?> fault = new(Load);
    static readonly Lazy<bool> hasCudaInPackages = new(() => IsInPackages(DeviceType.CUDA));

    static string CudaPackage => OperatingSystem.IsWindows() ? "TorchSharp-cuda-windows" : "TorchSharp-cuda-linux";

    /// <exception cref="InvalidOperationException">They cannot be loaded; the message says why.</exception>
    public static void Need()
    {
        if (fault.Value is { } message)
            throw new InvalidOperationException(message);
    }

    /// <exception cref="InvalidOperationException">They cannot be loaded, or have no CUDA.</exception>
    public static void NeedCuda()
    {
        // Of package folders TorchSharp can take one alone, and would take that of the CPU.
        if (cuda.Value is not null && !NativeLoader.IsFoundByRuntime("torch_cpu") && hasCudaInPackages.Value)
            return;
        Need();
        if (cuda.Value is { } missing)
            throw new InvalidOperationException(
                missing.File is null
                    ? $"libtorch has no CUDA. Add {CudaPackage} to the application instead of TorchSharp-cpu."
                    : $"libtorch's part for CUDA cannot be loaded: {missing.Reason}.");
    }

    /// <summary>Loads what the CPU needs, and CUDA if it is there.</summary>
    /// <returns>Null if it is loaded, else an error's message.</returns>
    static string? Load()
    {
        LoadFault? libtorch = NativeLoader.Load("torch_cpu");
        // libtorch counts devices once, at its first backward pass, even if that is on the CPU.
        _ = cuda.Value;
        NativeLoader.Load("torch");
        LoadFault? own = NativeLoader.Load("LibTorchSharp");
        own = own is null ? null : OlderLibstdcxx.Load(own);
        if (own is null || libtorch is { File: null } && IsInPackages(DeviceType.CPU))
            return null;
        return NativeFault.Explain(libtorch, own, CudaPackage);
    }

    /// <summary>Whether TorchSharp finds a device's libraries in the package folders that it lies in itself.</summary>
    static bool IsInPackages(DeviceType device)
    {
        if (NativeLoader.Packages is not { } packages
            || device == DeviceType.CUDA && !Directory.EnumerateDirectories(packages, "libtorch-cuda-*").Any())
            return false;
        try
        {
            torch.TryInitializeDeviceType(device);
            return device == DeviceType.CPU || NativeLoader.IsFoundByRuntime("torch_cuda");
        }
        catch (Exception error) when (error is NotSupportedException or TypeInitializationException)
        {
            return false;
        }
    }
}

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

/// <summary>Says what to do about a native library that is not loaded.</summary>
static class NativeFault
{
    /// <summary>An error's message.</summary>
    /// <param name="libtorch">Why libtorch is not loaded; null if it is.</param>
    /// <param name="own">Why TorchSharp's own library is not loaded.</param>
    /// <param name="cudaPackage">The package with libtorch for a GPU.</param>
    public static string Explain(LoadFault? libtorch, LoadFault own, string cudaPackage)
    {
        string version = typeof(torch).Assembly.GetName().Version!.ToString(3), torchSharp = $"TorchSharp {version}";
        string remedy =
            $"Add TorchSharp-cpu to the application, or {cudaPackage} for a GPU, in TorchSharp's version, {version}.";
        string reason = (libtorch ?? own).Reason;
        return (libtorch, own) switch
        {
            ({ File: null }, _) => $"libtorch is missing. {remedy}",
            (null, { File: null }) =>
                $"{reason}. It comes with the package TorchSharp: publish the application for a system that this " +
                "package supports.",
            _ when reason.Contains("' not found (required by ", StringComparison.Ordinal) =>
                $"This system is older than the one that {torchSharp} is built for: {reason}. Use a newer one, such " +
                "as Debian 13, Ubuntu 24.04 or RHEL 10.",
            ({ }, _) =>
                $"libtorch cannot be loaded: {reason}. Restore its package again, or install what is missing.",
            _ when LacksFunction(reason) =>
                $"libtorch is not the one that {torchSharp} is built for, {NativeLoader.LibtorchVersion}: {reason}. " +
                remedy,
            _ => $"TorchSharp's native library cannot be loaded: {reason}.",
        };
    }

    /// <summary>The words of Linux, macOS and Windows.</summary>
    static bool LacksFunction(string reason) =>
        ((string[])["undefined symbol", "Symbol not found", "0x8007007F"])
            .Any(words => reason.Contains(words, StringComparison.Ordinal));
}
