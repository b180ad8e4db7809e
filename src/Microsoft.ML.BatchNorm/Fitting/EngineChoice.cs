using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>What fits: the engine that was handed in, the GPU that the context asks for, or this process's threads.</summary>
static class EngineChoice
{
    public static IStatisticsEngine Of(IHost host, IChannel channel, FitSettings options)
    {
        if (options.Engine is { } engine)
            return engine;
        var environment = (IHostEnvironmentInternal)host;
        if (environment.GpuDeviceId is { } device)
        {
            string missing = $"GPU {device} was asked for, but no engine that runs on it is at hand.";
            if (!environment.FallbackToCpu)
                throw host.Except($"{missing} Hand one in through Options.Engine, or allow FallbackToCpu.");
            channel.Warning($"{missing} Batch normalization is fitted on the CPU.");
        }
        return new CpuEngine();
    }
}
