using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Microsoft.ML.BatchNorm.TorchSharp.Runtime;
using Microsoft.ML.BatchNorm.TorchSharp.Statistics;
using Microsoft.ML.BatchNorm.TorchSharp.Training;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// Fits statistics and trains networks with TorchSharp, on a CUDA device or on libtorch's CPU. What it hands back is
/// the same plain value that <see cref="CpuEngine"/> gives, which is served without TorchSharp.
/// </summary>
/// <remarks>
/// The application adds libtorch: TorchSharp-cpu, TorchSharp-cuda-linux or TorchSharp-cuda-windows, of the same version
/// as TorchSharp. Sessions and fits of one engine may run beside each other, each on one thread at a time. While a
/// session is open, libtorch multiplies float32 on a GPU in full in the whole process, and not as TF32, which it allows
/// in convolutions. libtorch's convolutions are wrong on some CPUs. The engine's own layers do without them; a
/// TorchScript module with convolutions is an error there, which says what to do.
/// </remarks>
public sealed class TorchEngine : IStatisticsEngine, ITrainingEngine
{
    readonly torch.Device device;

    /// <summary>An engine on a device.</summary>
    /// <param name="device">In PyTorch's words: <c>cuda</c>, <c>cuda:1</c>, <c>cpu</c>.</param>
    /// <param name="options">How it works; null for the defaults.</param>
    /// <exception cref="ArgumentException">There is no device of such a name.</exception>
    /// <exception cref="InvalidOperationException">
    /// The device cannot be had. The message says what is missing: the native package, a build of libtorch with CUDA, a
    /// driver, a device.
    /// </exception>
    public TorchEngine(string device = "cuda", TorchEngineOptions? options = null)
    {
        this.device = DeviceChoice.Find(device);
        Device = device;
        Options = options ?? new();
    }

    /// <summary>The device, as it was asked for.</summary>
    public string Device { get; }

    /// <summary>How the engine works.</summary>
    public TorchEngineOptions Options { get; }

    /// <inheritdoc/>
    public IStatisticsFit StartFit(BatchNormalizationOptions options, BatchNormalizationState state)
    {
        BatchNormalization.CheckState(options, state);
        return new TorchStatisticsFit(device, Options.Threads, options, state);
    }

    /// <inheritdoc/>
    public ITrainingSession Start(Network network, NetworkState state, TrainingOptions options, TrainingData data)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(data);
        network.CheckState(state);
        data.CheckFits(network, options.Loss);
        return new TorchSession(device, Options, network, state, options, data);
    }
}

/// <summary>Offers the engine to the ML.NET layer, which loads this assembly by its name.</summary>
static class EngineRegistration
{
    /// <summary>
    /// Runs when the assembly is first used. Nothing here needs TorchSharp, so that an application without it gets the
    /// error of the engine's constructor.
    /// </summary>
    [ModuleInitializer]
    [SuppressMessage("Usage", "CA2255", Justification = "The assembly has nobody else to register it.")]
    internal static void Register()
    {
        GpuEngines.ForStatistics = device => new TorchEngine($"cuda:{device}");
        GpuEngines.ForTraining = device => new TorchEngine($"cuda:{device}");
    }
}
