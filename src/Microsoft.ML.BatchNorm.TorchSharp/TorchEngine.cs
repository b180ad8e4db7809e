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

/// <summary>How a <see cref="TorchEngine"/> works. An immutable value, changed with <c>with { … }</c>.</summary>
public sealed record TorchEngineOptions
{
    /// <summary>
    /// Whether dense and convolutional layers multiply in bfloat16 in training: inputs, kernels and outputs are rounded
    /// to it, and the sums formed by libtorch in float32, except that a GPU may add a few parts of a sum in bfloat16.
    /// Parameters, batch normalization, loss and optimizer stay in float32, and so does prediction. The outputs have
    /// some three digits; Ampere and later GPUs are made for it. Default: false.
    /// </summary>
    /// <remarks>TorchSharp has no autocast; the casts that autocast would make stand in the layers.</remarks>
    public bool MixedPrecision { get; init; }

    /// <summary>
    /// How many bytes of training data may stay on the device between epochs. Data up to this size goes there once; of
    /// larger data each batch is gathered in pinned memory while the one before it computes, and copied; what a step
    /// finds wrong is then told by the next call. So is data of any size from a <see cref="TrainingData.Source"/> where
    /// the device is the CPU. Recomputed statistics keep as many bytes between two layers. Default: 2 GiB.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative.</exception>
    public long DataBytesOnDevice
    {
        get;
        init => field = value >= 0 ? value : throw Check.OutOfRange(value, nameof(DataBytesOnDevice), "not negative");
    } = 2L << 30;

    /// <summary>
    /// How many threads libtorch computes on where the device is the CPU. The same number gives the same bits.
    /// Default: 1.
    /// </summary>
    /// <remarks>
    /// More are faster only where each has a core to itself: libtorch's threads wait for each other after every
    /// operation, and spin meanwhile, so that on a busy machine two can take many times as long as one. libtorch keeps
    /// the number for each thread that calls it. It is set while a session or fit computes, and put back afterwards;
    /// only a thread whose first call of libtorch comes meanwhile begins with it.
    /// </remarks>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int Threads { get; init => field = Check.Positive(value, nameof(Threads)); } = 1;
}
