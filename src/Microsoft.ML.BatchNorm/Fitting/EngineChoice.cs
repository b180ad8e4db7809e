using System.Reflection;
using System.Runtime.CompilerServices;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Chooses what fits or trains: the engine that was handed in, the GPU that the context asks for, or this process's
/// threads.
/// </summary>
static class EngineChoice
{
    /// <summary>
    /// The assembly with the engine for GPUs. It is loaded by its name: an application that does not want a GPU has
    /// neither that assembly nor TorchSharp.
    /// </summary>
    const string GpuAssembly = "Microsoft.ML.BatchNorm.TorchSharp";

    public static IStatisticsEngine Of(IHost host, IChannel channel, IStatisticsEngine? given) =>
        given
        ?? OnGpu(host, channel, "Batch normalization is fitted", () => GpuEngines.ForStatistics)
        ?? new CpuEngine();

    public static ITrainingEngine Of(IHost host, IChannel channel, ITrainingEngine? given, int? threads) =>
        given
        ?? OnGpu(host, channel, "The network is trained", () => GpuEngines.ForTraining)
        ?? new CpuEngine(threads);

    /// <summary>
    /// The engine on the GPU that the context asks for, or null if it asks for none. If the GPU is not available you
    /// get an error, or a warning and null if <see cref="MLContext.FallbackToCpu"/> is set.
    /// </summary>
    static T? OnGpu<T>(IHost host, IChannel channel, string what, Func<Func<int, T>?> factory) where T : class
    {
        var environment = (IHostEnvironmentInternal)host;
        if (environment.GpuDeviceId is not { } device)
            return null;
        try
        {
            return Create(device, factory);
        }
        catch (InvalidOperationException error)
        {
            string missing = $"GPU {device} was asked for, but no engine that runs on it is at hand. {error.Message}";
            if (!environment.FallbackToCpu)
                throw host.Except(
                    error, $"{missing} Or hand an engine in through Options.Engine, or allow FallbackToCpu.");
            channel.Warning($"{missing} {what} on the CPU.");
            return null;
        }
    }

    /// <exception cref="InvalidOperationException">There is no such engine; the message says what is missing.</exception>
    static T Create<T>(int device, Func<Func<int, T>?> factory) where T : class
    {
        if (device < 0)
            throw new InvalidOperationException("The first GPU has the number 0.");
        try
        {
            // The assembly registers its factories when its module constructor runs.
            if (Find() is { } assembly)
                RuntimeHelpers.RunModuleConstructor(assembly.ManifestModule.ModuleHandle);
            Func<int, T> create = factory() ?? throw new InvalidOperationException(
                $"Add the packages {GpuAssembly} and TorchSharp-cuda-linux or TorchSharp-cuda-windows to the " +
                "application.");
            return create(device);
        }
        catch (FileNotFoundException error)
        {
            throw new InvalidOperationException(
                $"{GpuAssembly} is there, but {error.FileName} is not: add the package TorchSharp to the application.",
                error);
        }
        // A file that is no assembly, or one of another version than this library or TorchSharp.
        catch (Exception error) when (
            error is FileLoadException or BadImageFormatException or TypeLoadException or MissingMemberException)
        {
            throw new InvalidOperationException($"{GpuAssembly} is there, but cannot be used: {error.Message}", error);
        }
    }

    static Assembly? Find()
    {
        try
        {
            return Assembly.Load(GpuAssembly);
        }
        catch (FileNotFoundException)
        {
            string beside = Path.Combine(AppContext.BaseDirectory, $"{GpuAssembly}.dll");
            return File.Exists(beside) ? Assembly.LoadFrom(beside) : null;
        }
    }
}
