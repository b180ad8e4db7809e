using System.Reflection;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// Loads libtorch and TorchSharp's native library before TorchSharp does. TorchSharp would write to the console, and
/// throw its error from a type initializer. Only libtorch for CUDA in a package folder is left to TorchSharp.
/// </summary>
static class NativeLibraries
{
    static readonly Lazy<LoadFault?> cuda = new(() => NativeLoader.Load("torch_cuda"));
    static readonly Lazy<string?> fault = new(Load);
    static readonly Lazy<bool> hasCudaInPackages = new(() => IsInPackages(DeviceType.CUDA));

    static string CudaPackage => OperatingSystem.IsWindows() ? "TorchSharp-cuda-windows" : "TorchSharp-cuda-linux";

    /// <summary>Loads the libraries, unless that was done before.</summary>
    /// <exception cref="InvalidOperationException">They cannot be loaded. The message says why.</exception>
    public static void Require()
    {
        if (fault.Value is { } message)
            throw new InvalidOperationException(message);
    }

    /// <summary>Loads the libraries with CUDA, unless that was done before.</summary>
    /// <exception cref="InvalidOperationException">They cannot be loaded, or have no CUDA.</exception>
    public static void RequireCuda()
    {
        // TorchSharp can load libtorch from only one package folder, and would prefer the one for the CPU.
        if (cuda.Value is not null && !NativeLoader.IsFoundByRuntime("torch_cpu") && hasCudaInPackages.Value)
            return;
        Require();
        if (cuda.Value is { } missing)
            throw new InvalidOperationException(
                missing.File is null
                    ? $"libtorch has no CUDA. Add {CudaPackage} to the application instead of TorchSharp-cpu."
                    : $"libtorch's part for CUDA cannot be loaded: {missing.Reason}.");
    }

    /// <summary>Loads what the CPU needs, and CUDA if it is present.</summary>
    /// <returns>Null if everything for the CPU is loaded, otherwise the message of an error.</returns>
    static string? Load()
    {
        LoadFault? libtorch = NativeLoader.Load("torch_cpu");
        // libtorch counts the devices only once, in the first backward pass, even if that is on the CPU. So CUDA must
        // be loaded before.
        _ = cuda.Value;
        NativeLoader.Load("torch");
        LoadFault? own = NativeLoader.Load("LibTorchSharp");
        own = own is null ? null : OlderLibstdcxx.Load(own);
        if (own is null || libtorch is { File: null } && IsInPackages(DeviceType.CPU))
            return null;
        return LoadFault.Explain(libtorch, own, CudaPackage);
    }

    /// <summary>
    /// Whether TorchSharp is used from a package folder and finds the libraries for a device in another package.
    /// </summary>
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
/// <param name="File">The library's path; null if it is missing.</param>
/// <param name="Reason">The loader's own message.</param>
sealed record LoadFault(string? File, string Reason)
{
    /// <summary>The message of an error that says why libraries are not loaded and what to do.</summary>
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

    /// <summary>Whether the loader's message on Linux, macOS or Windows says that a function is missing.</summary>
    static bool LacksFunction(string reason) =>
        ((string[])["undefined symbol", "Symbol not found", "0x8007007F"])
            .Any(words => reason.Contains(words, StringComparison.Ordinal));
}

/// <summary>Loads native libraries from where the runtime looks for them, or from where NuGet has put them.</summary>
static class NativeLoader
{
    /// <summary>The folder of TorchSharp's package, if it is used from there, as in a notebook or a script.</summary>
    static readonly string? package = FindPackage();

    /// <summary>The folder of all packages, if TorchSharp is used from there.</summary>
    public static string? Packages { get; } = Path.GetDirectoryName(Path.GetDirectoryName(package));

    /// <summary>The version of libtorch that TorchSharp is built for; null if it is not known.</summary>
    /// <remarks><see cref="torch.__version__"/> would load libtorch first.</remarks>
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
    /// The folders of packages with native libraries. Only on Linux can a library be in another folder than those that
    /// it needs.
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

    /// <summary>Loads a library by its name, as TorchSharp does, and returns whether the runtime found it.</summary>
    public static bool IsFoundByRuntime(string name) =>
        NativeLibrary.TryLoad(name, typeof(torch).Assembly, null, out _);

    /// <summary>Loads a file.</summary>
    /// <returns>Null if it is loaded, otherwise the loader's message.</returns>
    public static string? LoadFile(string file)
    {
        try
        {
            NativeLibrary.Load(file);
            return null;
        }
        catch (Exception error) when (error is DllNotFoundException or BadImageFormatException)
        {
            // The loader's own message is the last line; the lines before it give advice for debugging.
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
