using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// What fits or trains: the engine that was handed in, the GPU that the context asks for, or this process's threads.
/// </summary>
static class EngineChoice
{
    public static IStatisticsEngine Of(IHost host, IChannel channel, FitSettings options) =>
        options.Engine
        ?? Gpu<IStatisticsEngine>(host, channel, "Batch normalization is fitted")
        ?? new CpuEngine();

    public static ITrainingEngine Of(IHost host, IChannel channel, ITrainingEngine? engine, int? threads) =>
        engine
        ?? Gpu<ITrainingEngine>(host, channel, "The network is trained")
        ?? new CpuEngine(threads);

    /// <summary>
    /// The engine on the GPU that the context asks for, or null where it asks for none. One that cannot be had is an
    /// error, or a warning and null where the CPU may take its place.
    /// </summary>
    static T? Gpu<T>(IHost host, IChannel channel, string what) where T : class
    {
        var environment = (IHostEnvironmentInternal)host;
        if (environment.GpuDeviceId is not { } device)
            return null;
        try
        {
            return (T)GpuEngine.Create(device);
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
}
