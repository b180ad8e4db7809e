namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// Batch normalization by libtorch's own operation, with an exponential moving average. The operation runs with
/// PyTorch's momentum set to 1, and so writes the batch's mean and sample variance. <see cref="MovingAverages"/> then
/// updates the averages of all layers at once.
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
        averages.SetFactors(range, Options, Layout(rows).Positions);
        steps++;
        OnStatisticsMoved();
    }

    /// <remarks>
    /// In the next step, libtorch multiplies these values by 1 − momentum, which is 0. If they were not finite, the
    /// product would be NaN.
    /// </remarks>
    public override void UndoStep()
    {
        using IDisposable noGradient = torch.no_grad();
        range.BatchMean.zero_();
        range.BatchVariance.zero_();
    }

    protected override BatchNormalizationState CurrentState()
    {
        if (steps == 0)
            return State;
        (double[] mean, double[] variance) = averages.Read(range);
        double initialWeight = State.InitialWeight;
        for (long i = 0; i < steps; i++)
            initialWeight *= Options.EffectiveMomentum;
        return new BatchNormalizationState(
            mean, variance, State.OwnGamma, State.OwnBeta, State.BatchesSeen + steps, initialWeight, State.Renorm,
            population: null);
    }

    public override void SetStatistics(BatchNormalizationState state)
    {
        base.SetStatistics(state);
        steps = 0;
        averages.Write(range, State);
    }

    protected override (Tensor Mean, Tensor Variance) MovingTensors(torch.Device device) =>
        averages.MovingTensors(range);

    protected override Tensor WithBatchStatistics(Tensor x)
    {
        if (x.NumberOfElements == State.Channels)
        {
            if (Options.EffectiveVarianceConvention == VarianceConvention.Sample)
                throw SingleValue.Error($"A channel of layer '{Path}'", IsTraining && MovesStatistics);
            return ToShapeOf(x, NormalizeOne(View(x)));
        }
        Tensor y = F.batch_norm(
            View(x), range.BatchMean, range.BatchVariance, Gamma?.Tensor, Beta?.Tensor, true, 1.0,
            Options.EffectiveEpsilon);
        return ToShapeOf(x, y);
    }

    /// <summary>
    /// Normalizes a single value per channel, which libtorch refuses. The value is its own mean, and its variance is 0.
    /// </summary>
    Tensor NormalizeOne(Tensor x)
    {
        using (torch.no_grad())
        {
            range.BatchMean.copy_(x.reshape(-1));
            range.BatchVariance.zero_();
        }
        return Affine(x.sub(x));
    }
}

/// <summary>
/// The exponential moving averages of all layers in one vector of doubles on the device: first the means, then the
/// variances. Updating all layers takes three operations.
/// </summary>
sealed class MovingAverages(torch.Device device) : IDisposable
{
    readonly List<BatchNormalizationState> states = [];
    readonly List<ChannelRange> ranges = [];
    double[] hostDecay = [], hostGain = [];
    Tensor moving = null!, batch = null!, decay = null!, gain = null!;
    int channels;
    bool factorsChanged;

    /// <summary>Where a layer's channels are among those of all layers.</summary>
    public sealed record ChannelRange(int Offset, int Channels)
    {
        /// <summary>
        /// How many values per channel a batch had when the factors were set; 0 before the first step.
        /// </summary>
        public int Positions { get; set; }

        /// <summary>Receives the mean of a batch.</summary>
        // Made once: making two views per batch takes the host as long as normalizing a small batch does.
        public Tensor BatchMean { get; set; } = null!;

        /// <summary>Receives the sample variance of a batch.</summary>
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
            (Tensor mean, Tensor variance) = Slices(batch, range);
            (range.BatchMean, range.BatchVariance) = (Tensors.Keep(mean), Tensors.Keep(variance));
        }
    }

    /// <summary>The moving mean and variance of a layer. Call it inside a dispose scope.</summary>
    public (Tensor Mean, Tensor Variance) MovingTensors(ChannelRange range) => Slices(moving, range);

    /// <summary>
    /// Sets the factors of a layer for the next updates: decay for the averages, gain for the statistics of the batch.
    /// </summary>
    public void SetFactors(ChannelRange range, BatchNormalizationOptions options, int positions)
    {
        if (range.Positions == positions)
            return;
        range.Positions = positions;
        double share = 1 - options.EffectiveMomentum;
        double varianceFactor =
            options.EffectiveVarianceConvention == VarianceConvention.Sample ? 1 : (positions - 1.0) / positions;
        hostDecay.AsSpan(range.Offset, range.Channels).Fill(options.EffectiveMomentum);
        hostDecay.AsSpan(channels + range.Offset, range.Channels).Fill(options.EffectiveMomentum);
        hostGain.AsSpan(range.Offset, range.Channels).Fill(share);
        hostGain.AsSpan(channels + range.Offset, range.Channels).Fill(share * varianceFactor);
        factorsChanged = true;
    }

    /// <summary>
    /// Updates the averages of all layers. Call it inside a dispose scope and without gradients.
    /// </summary>
    public void Update()
    {
        if (factorsChanged)
        {
            decay.copy_(Tensors.Upload<double>(hostDecay, torch.CPU, hostDecay.Length));
            gain.copy_(Tensors.Upload<double>(hostGain, torch.CPU, hostGain.Length));
            factorsChanged = false;
        }
        moving.mul_(decay).addcmul_(batch.to(ScalarType.Float64), gain, Scalars.One);
    }

    public (double[] Mean, double[] Variance) Read(ChannelRange range)
    {
        using var scope = torch.NewDisposeScope();
        (Tensor mean, Tensor variance) = MovingTensors(range);
        return (Tensors.Download<double>(mean), Tensors.Download<double>(variance));
    }

    public void Write(ChannelRange range, BatchNormalizationState state)
    {
        using var scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        (Tensor mean, Tensor variance) = MovingTensors(range);
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

    (Tensor, Tensor) Slices(Tensor values, ChannelRange range) => (
        values.narrow(0, range.Offset, range.Channels), values.narrow(0, channels + range.Offset, range.Channels));
}
