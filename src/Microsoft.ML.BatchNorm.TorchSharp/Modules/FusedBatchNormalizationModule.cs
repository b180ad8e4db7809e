namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// Batch normalization by libtorch's own operation, with an exponential moving average. The operation runs with a
/// momentum of 1, and so writes the batch's mean and sample variance. <see cref="MovingAverages"/> reads them for all
/// layers at once.
/// </summary>
sealed class FusedBatchNormalizationModule(
    NetworkNode node, BatchNormalizationLayer layer, BatchNormalizationState state, MovingAverages averages)
    : BatchNormalizationModule(node, layer, state)
{
    readonly MovingAverages.ChannelRange range = averages.Reserve(state);
    long steps;

    /// <summary>
    /// Whether libtorch's operation can compute a layer. It has no masks, no groups of rows and no renormalization.
    /// </summary>
    public static bool Fits(BatchNormalizationOptions options) =>
        options is { Renorm: null, VirtualBatchSize: null, NonFinite: NonFinite.Throw, EffectiveEpsilon: > 0 }
        && (options.EffectiveMovingStatistics == MovingStatistics.Exponential
            || !options.MovesStatistics(training: true));

    public override void Commit(int rows)
    {
        averages.Set(range, Options, Layout(rows).Positions);
        steps++;
        StatisticsMoved();
    }

    /// <remarks>
    /// libtorch multiplies the old values by 1 − momentum, which is 0, and 0 times a value that is not finite is NaN.
    /// </remarks>
    public override void UndoStep()
    {
        using IDisposable noGradient = torch.no_grad();
        range.BatchMean.zero_();
        range.BatchVariance.zero_();
    }

    protected override BatchNormalizationState Current()
    {
        if (steps == 0)
            return State;
        (double[] mean, double[] variance) = averages.Read(range);
        double initialWeight = State.InitialWeight;
        for (long i = 0; i < steps; i++)
            initialWeight *= Options.EffectiveMomentum;
        return new BatchNormalizationState(
            mean, variance, State.GammaArray, State.BetaArray, State.BatchesSeen + steps, initialWeight, State.Renorm,
            population: null);
    }

    public override void Replace(BatchNormalizationState state)
    {
        base.Replace(state);
        steps = 0;
        averages.Write(range, State);
    }

    protected override (Tensor Mean, Tensor Variance) MovingTensors(torch.Device device) => averages.Moving(range);

    protected override Tensor WithBatchStatistics(Tensor x)
    {
        if (x.NumberOfElements == State.Channels)
        {
            if (Options.EffectiveVarianceConvention == VarianceConvention.Sample)
                throw SingleValue.Error($"A channel of layer '{Path}'", IsTraining && MovesStatistics);
            return Back(OfOne(View(x)), x);
        }
        Tensor y = F.batch_norm(
            View(x), range.BatchMean, range.BatchVariance, Gamma?.Tensor, Beta?.Tensor, true, 1.0,
            Options.EffectiveEpsilon);
        return Back(y, x);
    }

    /// <summary>
    /// Normalizes a single value per channel, which libtorch refuses: it is its own mean, and its variance is 0.
    /// </summary>
    Tensor OfOne(Tensor x)
    {
        using (torch.no_grad())
        {
            range.BatchMean.copy_(x.reshape(-1));
            range.BatchVariance.zero_();
        }
        return Scaled(x.sub(x));
    }
}

/// <summary>
/// The exponential moving averages of all layers in one vector of doubles on the device: first the means, then the
/// variances. One step of all layers is three operations.
/// </summary>
sealed class MovingAverages(torch.Device device) : IDisposable
{
    readonly List<BatchNormalizationState> states = [];
    readonly List<ChannelRange> ranges = [];
    double[] hostDecay = [], hostGain = [];
    Tensor moving = null!, batch = null!, decay = null!, gain = null!;
    int channels;
    bool hasChanged;

    /// <summary>Where a layer's channels are in the vector.</summary>
    public sealed record ChannelRange(int Offset, int Channels)
    {
        /// <summary>The number of values per channel that the factors are made for; 0 before the first step.</summary>
        public int Positions { get; set; }

        /// <summary>Where the mean of a batch is written.</summary>
        // Made once: making two views per batch takes the host as long as normalizing a small batch.
        public Tensor BatchMean { get; set; } = null!;

        /// <summary>Where the sample variance of a batch is written.</summary>
        public Tensor BatchVariance { get; set; } = null!;
    }

    public ChannelRange Reserve(BatchNormalizationState state)
    {
        var range = new ChannelRange(channels, state.Channels);
        channels += state.Channels;
        ranges.Add(range);
        states.Add(state);
        return range;
    }

    /// <summary>Allocates the vector on the device, after all layers have reserved their ranges.</summary>
    public void Allocate()
    {
        using var scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        double[] values = new double[2 * channels];
        for (int i = 0; i < ranges.Count; i++)
        {
            states[i].MovingMean.CopyTo(values.AsSpan(ranges[i].Offset));
            states[i].MovingVariance.CopyTo(values.AsSpan(channels + ranges[i].Offset));
        }
        hostDecay = new double[2 * channels];
        Array.Fill(hostDecay, 1);
        hostGain = new double[2 * channels];
        moving = Tensors.Keep(Tensors.Upload<double>(values, device, values.Length));
        batch = Tensors.Keep(torch.zeros([2 * channels], ScalarType.Float32, device));
        decay = Tensors.Keep(Tensors.Upload<double>(hostDecay, device, hostDecay.Length));
        gain = Tensors.Keep(Tensors.Upload<double>(hostGain, device, hostGain.Length));
        foreach (ChannelRange range in ranges)
        {
            (Tensor mean, Tensor variance) = Both(batch, range);
            (range.BatchMean, range.BatchVariance) = (Tensors.Keep(mean), Tensors.Keep(variance));
        }
    }

    /// <summary>The moving mean and variance; inside a dispose scope.</summary>
    public (Tensor Mean, Tensor Variance) Moving(ChannelRange range) => Both(moving, range);

    /// <summary>Sets the factors of a layer for the next step.</summary>
    public void Set(ChannelRange range, BatchNormalizationOptions options, int positions)
    {
        if (range.Positions == positions)
            return;
        range.Positions = positions;
        double share = 1 - options.EffectiveMomentum;
        double population =
            options.EffectiveVarianceConvention == VarianceConvention.Sample ? 1 : (positions - 1.0) / positions;
        hostDecay.AsSpan(range.Offset, range.Channels).Fill(options.EffectiveMomentum);
        hostDecay.AsSpan(channels + range.Offset, range.Channels).Fill(options.EffectiveMomentum);
        hostGain.AsSpan(range.Offset, range.Channels).Fill(share);
        hostGain.AsSpan(channels + range.Offset, range.Channels).Fill(share * population);
        hasChanged = true;
    }

    /// <summary>Moves the averages of all layers. Inside a dispose scope and without gradients.</summary>
    public void Step()
    {
        if (hasChanged)
        {
            decay.copy_(Tensors.Upload<double>(hostDecay, torch.CPU, hostDecay.Length));
            gain.copy_(Tensors.Upload<double>(hostGain, torch.CPU, hostGain.Length));
            hasChanged = false;
        }
        moving.mul_(decay).addcmul_(batch.to(ScalarType.Float64), gain, Scalars.One);
    }

    public (double[] Mean, double[] Variance) Read(ChannelRange range)
    {
        using var scope = torch.NewDisposeScope();
        (Tensor mean, Tensor variance) = Moving(range);
        return (Tensors.Download<double>(mean), Tensors.Download<double>(variance));
    }

    public void Write(ChannelRange range, BatchNormalizationState state)
    {
        using var scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        (Tensor mean, Tensor variance) = Moving(range);
        mean.copy_(Tensors.Upload(state.MovingMean, torch.CPU, range.Channels));
        variance.copy_(Tensors.Upload(state.MovingVariance, torch.CPU, range.Channels));
    }

    public void Dispose()
    {
        foreach (ChannelRange range in ranges)
        {
            range.BatchMean.Dispose();
            range.BatchVariance.Dispose();
        }
        moving.Dispose();
        batch.Dispose();
        decay.Dispose();
        gain.Dispose();
    }

    (Tensor, Tensor) Both(Tensor values, ChannelRange range) => (
        values.narrow(0, range.Offset, range.Channels), values.narrow(0, channels + range.Offset, range.Channels));
}
