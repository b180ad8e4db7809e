namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Fits the statistics of layers: on this process's threads (<see cref="CpuEngine"/>), or on another device.
/// </summary>
public interface IStatisticsEngine
{
    /// <summary>
    /// The processes whose rows a fit takes in together, each its own; null for this one alone. Then
    /// <see cref="IStatisticsFit.Complete"/> is a call of all ranks. Default: null.
    /// </summary>
    ICollective? Collective => null;

    /// <summary>Starts to fit one layer in training mode.</summary>
    /// <param name="options">The layer's options, which let its statistics move.</param>
    /// <param name="state">The state to start from.</param>
    /// <exception cref="ArgumentException">Options contradict each other, or the state does not fit them.</exception>
    IStatisticsFit StartFit(BatchNormalizationOptions options, BatchNormalizationState state);
}

/// <summary>One fit of one layer. For one thread at a time.</summary>
public interface IStatisticsFit : IDisposable
{
    /// <summary>
    /// Whether the fit also takes statistics that the caller has computed (<see cref="Add(BatchStatistics)"/>). The
    /// caller may then sum rows where it reads them, without copying them into batches. If it is false, the fit gets
    /// only batches of values: it computes on a device, or an average moves batch by batch. Default: false.
    /// </summary>
    bool TakesStatistics => false;

    /// <summary>Takes the next batch.</summary>
    /// <param name="layout">Where the channels lie in <paramref name="x"/>.</param>
    /// <param name="x">One value per element of the layout; not used after the call.</param>
    /// <param name="mask">One entry per position, false to leave it out; or empty to count all.</param>
    /// <exception cref="ArgumentException">
    /// A length or the number of channels does not fit; nothing was added.
    /// </exception>
    /// <exception cref="InvalidDataException">
    /// A kept value is not finite and the options do not ignore it, or a channel has a single value and the sample
    /// variance moves; nothing was added.
    /// </exception>
    void Add(ChannelLayout layout, ReadOnlySpan<float> x, ReadOnlySpan<bool> mask = default);

    /// <inheritdoc cref="Add(ChannelLayout, ReadOnlySpan{float}, ReadOnlySpan{bool})"/>
    void Add(ChannelLayout layout, ReadOnlySpan<double> x, ReadOnlySpan<bool> mask = default);

    /// <summary>
    /// Takes the statistics of the next rows as one batch. The caller may compute them on any threads; it hands them
    /// over in the order of the rows, so that the result has the same bits for any number of threads.
    /// </summary>
    /// <param name="batch">Finite statistics with the layer's channels; not used after the call.</param>
    /// <exception cref="NotSupportedException"><see cref="TakesStatistics"/> is false.</exception>
    /// <exception cref="ArgumentException">The number of channels does not fit; nothing was added.</exception>
    void Add(BatchStatistics batch) =>
        throw new NotSupportedException("This fit takes batches of values, and no statistics (TakesStatistics).");

    /// <summary>The state after all batches.</summary>
    /// <exception cref="InvalidDataException">A statistic overflowed, or there are too few values for it.</exception>
    BatchNormalizationState Complete();
}
