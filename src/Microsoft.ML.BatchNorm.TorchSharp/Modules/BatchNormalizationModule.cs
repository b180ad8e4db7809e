namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// A <see cref="BatchNormalizationLayer"/>. <c>train()</c> on it, or on a module around it, asks for training mode. Its
/// options decide whether it follows: a frozen layer stays in inference mode.
/// </summary>
abstract class BatchNormalizationModule : LayerModule
{
    readonly NetworkNode node;
    readonly int axis;
    FixedNormalization? fixedMap;

    protected BatchNormalizationModule(NetworkNode node, BatchNormalizationLayer layer, BatchNormalizationState state)
        : base(node, new LayerState(state))
    {
        this.node = node;
        Options = layer.Options;
        State = state;
        axis = layer.AxisIn(node.Input);
        Gamma = Parameter(BatchNormalizationTensors.Gamma);
        Beta = Parameter(BatchNormalizationTensors.Beta);
    }

    public required torch.Device Device { get; init; }

    public BatchNormalizationOptions Options { get; }

    /// <summary>The number of channels.</summary>
    public int Channels => State.Channels;

    /// <summary>Whether training moves the statistics.</summary>
    public bool MovesStatistics => Options.MovesStatistics(training: true);

    protected DeviceParameter? Gamma { get; }

    protected DeviceParameter? Beta { get; }

    /// <summary>
    /// The last state that the host has. Later steps may have changed the statistics on the device. Its γ and β are
    /// those of the beginning.
    /// </summary>
    protected BatchNormalizationState State { get; set; }

    /// <summary>The layout of a batch of so many rows.</summary>
    protected ChannelLayout Layout(int rows) => new(node.Input.WithRows(rows), axis);

    /// <summary>The shape in which γ and β are broadcast over <see cref="View"/>.</summary>
    protected long[] ChannelShape => IsChannelsFirst
        ? [State.Channels, .. Enumerable.Repeat(1L, node.Input.Rank - 1)]
        : Layout(1).Inner == 1 ? [State.Channels] : [State.Channels, 1];

    public override Tensor forward(Tensor x)
    {
        if (!Options.UsesBatchStatistics(IsTraining))
            return ToShapeOf(x, Affine((fixedMap ??= MakeFixedMap()).Apply(View(x))));
        return WithBatchStatistics(x);
    }

    public override void CheckBatchSize(int rows)
    {
        if (Options.UsesBatchStatistics(training: true)
            && Options.EffectiveVarianceConvention == VarianceConvention.Sample
            && Layout(rows).Positions == 1)
            throw SingleValue.Error($"A channel of layer '{Path}'", MovesStatistics);
    }

    /// <summary>The input with its channels in dimension 1 and as few other dimensions as possible.</summary>
    protected Tensor View(Tensor x)
    {
        if (IsChannelsFirst)
            return x;
        ChannelLayout layout = Layout((int)x.shape[0]);
        return layout.Inner == 1
            ? x.reshape(layout.Outer, layout.Channels)
            : x.reshape(layout.Outer, layout.Channels, layout.Inner);
    }

    /// <summary>Undoes <see cref="View"/>: gives <paramref name="y"/> the shape of the input.</summary>
    protected Tensor ToShapeOf(Tensor x, Tensor y) => IsChannelsFirst ? y : y.reshape(x.shape);

    /// <summary>Multiplies normalized values, in the shape of <see cref="View"/>, by γ and adds β.</summary>
    protected Tensor Affine(Tensor x) => (Gamma, Beta) switch
    {
        (null, null) => x,
        (null, _) => x.add(Beta.Tensor.reshape(ChannelShape), Scalars.One),
        (_, null) => x.mul(Gamma.Tensor.reshape(ChannelShape)),
        _ => torch.addcmul(Beta.Tensor.reshape(ChannelShape), x, Gamma.Tensor.reshape(ChannelShape), Scalars.One),
    };

    public override LayerState GetState(IReadOnlyDictionary<string, float[]> values)
    {
        BatchNormalizationState state = CurrentState();
        float[] gammaValues = ValuesOf(Gamma), betaValues = ValuesOf(Beta);
        return new LayerState(
            state.Gamma.SequenceEqual(gammaValues) && state.Beta.SequenceEqual(betaValues)
                ? state
                : state.WithAffine(gammaValues, betaValues));

        float[] ValuesOf(DeviceParameter? parameter) => parameter is null ? [] : values[parameter.Path];
    }

    /// <summary>The exact statistics of an input of this layer.</summary>
    /// <exception cref="InvalidDataException">A value is not finite, and the options do not ignore it.</exception>
    public BatchStatistics StatisticsOf(Tensor x)
    {
        bool ignores = Options.NonFinite == NonFinite.Ignore;
        BatchStatistics statistics = DeviceStatistics.Of(x.Reshape(Layout((int)x.shape[0])), ignores);
        return DeviceStatistics.AreFinite(statistics)
            ? statistics
            : throw new InvalidDataException($"Layer '{Path}': its input is not finite.");
    }

    /// <summary>
    /// Replaces the moving statistics by exact ones of all data. They count as one batch if there was no batch before.
    /// </summary>
    public void SetStatistics(BatchStatistics statistics)
    {
        BatchNormalizationState current = CurrentState();
        SetStatistics(current.WithPopulation(
            statistics, Options.EffectiveVarianceConvention, batches: current.BatchesSeen == 0 ? 1 : 0));
    }

    /// <summary>Replaces the moving statistics by those of a state.</summary>
    public virtual void SetStatistics(BatchNormalizationState state)
    {
        State = state;
        OnStatisticsMoved();
    }

    /// <summary>The state with the current statistics.</summary>
    protected abstract BatchNormalizationState CurrentState();

    /// <summary>Normalizes with the batch's own statistics.</summary>
    protected abstract Tensor WithBatchStatistics(Tensor x);

    /// <summary>Updates the moving statistics with those of the last forward pass.</summary>
    public abstract void Commit(int rows);

    /// <summary>The moving mean and variance, in double on the device. Call it inside a dispose scope.</summary>
    protected virtual (Tensor Mean, Tensor Variance) MovingTensors(torch.Device device) => (
        Tensors.Upload(State.MovingMean, device, State.Channels),
        Tensors.Upload(State.MovingVariance, device, State.Channels));

    /// <summary>Call it whenever the moving statistics have changed.</summary>
    protected void OnStatisticsMoved()
    {
        fixedMap?.Dispose();
        fixedMap = null;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            fixedMap?.Dispose();
        base.Dispose(disposing);
    }

    bool IsChannelsFirst => axis == 1;

    FixedNormalization MakeFixedMap()
    {
        using var scope = torch.NewDisposeScope();
        (Tensor mean, Tensor variance) = MovingTensors(Device);
        return new FixedNormalization(mean, variance, Options.EffectiveEpsilon, ChannelShape);
    }
}

/// <summary>
/// Normalization with the moving statistics, a fixed map: <c>(x − center)·inverse + rest</c>. The center is the mean
/// rounded to float, and the rest corrects the rounding. Since the center is subtracted first, a large mean costs no
/// digits.
/// </summary>
sealed class FixedNormalization : IDisposable
{
    readonly Tensor center, inverse, rest;

    /// <param name="mean">The moving mean, in double on the device.</param>
    /// <param name="variance">The moving variance.</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="shape">The shape in which the tensors are broadcast over the input.</param>
    public FixedNormalization(Tensor mean, Tensor variance, double epsilon, long[] shape)
    {
        using var scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        Tensor deviation = variance.add(Scalars.Of(epsilon), Scalars.One).sqrt();
        Tensor exact = torch.where(deviation.gt(Scalars.Of(0)), deviation.reciprocal(), torch.zeros_like(deviation));
        Tensor nearest = mean.to(ScalarType.Float32);
        center = Kept(nearest, shape);
        inverse = Kept(exact, shape);
        rest = Kept(nearest.to(ScalarType.Float64).sub(mean).mul(exact), shape);
    }

    public Tensor Apply(Tensor x) => torch.addcmul(rest, x.sub(center), inverse, Scalars.One);

    public void Dispose()
    {
        center.Dispose();
        inverse.Dispose();
        rest.Dispose();
    }

    static Tensor Kept(Tensor values, long[] shape) => Tensors.Keep(values.to(ScalarType.Float32).reshape(shape));
}
