using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;
using Microsoft.ML.Trainers;

namespace Microsoft.ML.Transforms;

/// <summary>What fits: the engine that was handed in, the GPU that the context asks for, or this process's threads.</summary>
static class EngineChoice
{
    public static IStatisticsEngine Of(IHost host, IChannel channel, FitSettings options)
    {
        if (options.Engine is { } engine)
            return engine;
        CheckGpu(host, channel, "Batch normalization is fitted");
        return new CpuEngine();
    }

    public static ITrainingEngine Of(IHost host, IChannel channel, BatchNormNetworkTrainerOptions options)
    {
        if (options.Engine is { } engine)
            return engine;
        CheckGpu(host, channel, "The network is trained");
        return (ITrainingEngine)(object)new CpuEngine(options.NumberOfThreads ?? Environment.ProcessorCount);
    }

    /// <summary>A GPU that is asked for and not at hand is an error, or a warning where the CPU may take its place.</summary>
    static void CheckGpu(IHost host, IChannel channel, string what)
    {
        var environment = (IHostEnvironmentInternal)host;
        if (environment.GpuDeviceId is not { } device)
            return;
        string missing = $"GPU {device} was asked for, but no engine that runs on it is at hand.";
        if (!environment.FallbackToCpu)
            throw host.Except($"{missing} Hand one in through Options.Engine, or allow FallbackToCpu.");
        channel.Warning($"{missing} {what} on the CPU.");
    }
}
