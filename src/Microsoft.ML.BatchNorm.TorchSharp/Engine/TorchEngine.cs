using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// Fits statistics and trains networks with TorchSharp, on a CUDA device or on libtorch's CPU. Its results are plain
/// values like those of <see cref="CpuEngine"/>, and you serve them without TorchSharp.
/// </summary>
/// <remarks>
/// <para>The application adds libtorch by one of the packages TorchSharp-cpu, TorchSharp-cuda-linux and
/// TorchSharp-cuda-windows, in TorchSharp's version.</para>
/// <para>Several sessions and fits of one engine may run at the same time, each on one thread at a time. While a
/// session is open, TF32 is off in the whole process; libtorch would use it in convolutions on a GPU.</para>
/// <para>libtorch computes convolutions wrongly on some CPUs. The engine's own layers do not use them. A TorchScript
/// module with convolutions is an error on such a CPU, and the message says what to do.</para>
/// <para>With a collective, ranks work together as with <see cref="CpuEngine"/>, and a step is complete when it
/// returns. The ranks exchange statistics and gradients through the host. Batch normalizations without moving statistics
/// and TorchScript modules that learn are refused on several ranks.</para>
/// </remarks>
public sealed class TorchEngine : IStatisticsEngine, ITrainingEngine
{
    readonly torch.Device device;

    /// <summary>An engine on a device.</summary>
    /// <param name="device">PyTorch's name for it: <c>cuda</c>, <c>cuda:1</c>, <c>cpu</c>.</param>
    /// <param name="options">How the engine works; null for the defaults.</param>
    /// <param name="collective">The processes that work together; null for this one alone. Default: null.</param>
    /// <exception cref="ArgumentException"><paramref name="device"/> is not such a name.</exception>
    /// <exception cref="InvalidOperationException">
    /// The device is not available. The message says what is missing: the native package, a build of libtorch with
    /// CUDA, a driver, or a device.
    /// </exception>
    public TorchEngine(string device = "cuda", TorchEngineOptions? options = null, ICollective? collective = null)
    {
        this.device = DeviceChoice.Find(device);
        Device = device;
        Options = options ?? new();
        Collective = collective;
    }

    /// <summary>The name of the device, as it was given.</summary>
    public string Device { get; }

    /// <summary>How the engine works.</summary>
    public TorchEngineOptions Options { get; }

    /// <summary>The processes that work together; null for this one alone.</summary>
    public ICollective? Collective { get; }

    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">
    /// Several processes work together, and the options ask for averages over batches.
    /// </exception>
    public IStatisticsFit StartFit(BatchNormalizationOptions options, BatchNormalizationState state)
    {
        BatchNormalization.CheckState(options, state);
        ICollective? ranks = Collective.IfSeveral();
        if (ranks is not null)
            CpuEngine.CheckFitOfRanks(options);
        return new TorchStatisticsFit(device, Options.Threads, options, state, ranks);
    }

    /// <inheritdoc/>
    public ITrainingSession Start(Network network, NetworkState state, TrainingOptions options, TrainingData data)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(data);
        if (Collective.IfSeveral() is not { } ranks)
            return Start(null);
        var shares = new RowShares(ranks.Rank, ranks.Gather(data.Rows));
        return ranks.Do(() => Start(new BatchShare(ranks, shares, CpuEngine.VirtualBatchSize(network))));

        TorchSession Start(BatchShare? share)
        {
            network.CheckState(state);
            data.CheckFits(network, options.Loss);
            return new(device, Options, network, state, options, data, share);
        }
    }
}

/// <summary>How a <see cref="TorchEngine"/> works. An immutable value, changed with <c>with { … }</c>.</summary>
public sealed record TorchEngineOptions
{
    /// <summary>
    /// Whether dense and convolutional layers multiply in bfloat16 in training. Inputs, kernels and outputs are rounded
    /// to bfloat16. libtorch forms the sums in float32, but a GPU may add a few partial sums in bfloat16. Parameters,
    /// batch normalization, loss, optimizer and prediction stay in float32. The outputs have about three significant
    /// digits. GPUs since Ampere are fast in bfloat16. Default: false.
    /// </summary>
    /// <remarks>TorchSharp has no autocast, so the layers make the casts that autocast would make.</remarks>
    public bool MixedPrecision { get; init; }

    /// <summary>
    /// How many bytes of training data may stay on the device between epochs. Data up to this size is copied there
    /// once. Larger data is streamed: each batch is gathered in pinned memory while the device computes the batch
    /// before it, and is then copied. An error in a step is then thrown by the next call. Data from a
    /// <see cref="TrainingData.Source"/> is always streamed if the device is the CPU. When statistics are recomputed,
    /// up to the same number of bytes of layer outputs stays on the device. Default: 2 GiB.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative.</exception>
    public long DataBytesOnDevice
    {
        get;
        init => field = value >= 0 ? value : throw Check.OutOfRange(value, nameof(DataBytesOnDevice), "not negative");
    } = 2L << 30;

    /// <summary>
    /// How many threads libtorch computes on if the device is the CPU. The same number gives the same bits. Default: 1.
    /// </summary>
    /// <remarks>
    /// <para>More threads are faster only if each has a core to itself. libtorch's threads wait for each other after
    /// every operation, and spin while they wait. So on a busy machine, two threads can take many times as long as
    /// one.</para>
    /// <para>libtorch keeps a number of threads for each thread that calls it. The engine sets the calling thread's
    /// number while a session or fit computes, and restores it afterwards. A thread that calls libtorch for the first
    /// time in between starts with the engine's number.</para>
    /// </remarks>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int Threads { get; init => field = Check.Positive(value, nameof(Threads)); } = 1;
}

/// <summary>Offers the engine to the ML.NET layer, which loads this assembly by its name.</summary>
static class EngineRegistration
{
    /// <summary>
    /// Runs when the assembly is first used. It needs nothing of TorchSharp, so that an application without TorchSharp
    /// gets the error from the engine's constructor.
    /// </summary>
    [ModuleInitializer]
    [SuppressMessage("Usage", "CA2255", Justification = "The assembly has nobody else to register it.")]
    internal static void Register()
    {
        GpuEngines.ForStatistics = device => new TorchEngine($"cuda:{device}");
        GpuEngines.ForTraining = device => new TorchEngine($"cuda:{device}");
    }
}
