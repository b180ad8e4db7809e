using Microsoft.ML.BatchNorm.TorchSharp.Runtime;

namespace Microsoft.ML.BatchNorm.TorchSharp.Layers;

/// <summary>
/// Batch normalization through libtorch's own operation, with an exponential moving average. The operation writes the
/// batch's mean and sample variance, with a momentum of 1, to where <see cref="MovingAverages"/> takes them from for
/// all layers at once.
/// </summary>
sealed class FusedBatchNormalizationModule(
    NetworkNode node, BatchNormalizationLayer layer, BatchNormalizationState state, MovingAverages averages)
    : BatchNormalizationModule(node, layer, state)
{
    readonly MovingAverages.Place place = averages.Reserve(state);
    long steps;

    /// <summary>Whether a layer can be one: libtorch knows neither masks, groups of rows nor renormalization.</summary>
    public static bool Fits(BatchNormalizationOptions options) =>
        options is { Renorm: null, VirtualBatchSize: null, NonFinite: NonFinite.Throw, EffectiveEpsilon: > 0 }
        && (options.EffectiveMovingStatistics == MovingStatistics.Exponential
            || !options.MovesStatistics(training: true));

    public override void Commit(int rows)
    {
        averages.Set(place, Options, Layout(rows).Positions);
        steps++;
        StatisticsMoved();
    }

    /// <remarks>
    /// libtorch weighs what is there by 1 − momentum, which is 0, and 0 times what is not finite is not 0.
    /// </remarks>
    public override void UndoStep()
    {
        using IDisposable noGradient = torch.no_grad();
        place.BatchMean.zero_();
        place.BatchVariance.zero_();
    }

    protected override BatchNormalizationState Current()
    {
        if (steps == 0)
            return State;
        (double[] mean, double[] variance) = averages.Read(place);
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
        averages.Write(place, State);
    }

    protected override (Tensor Mean, Tensor Variance) MovingTensors(torch.Device device) => averages.Moving(place);

    protected override Tensor WithBatchStatistics(Tensor x)
    {
        if (x.NumberOfElements == State.Channels)
        {
            if (Options.EffectiveVarianceConvention == VarianceConvention.Sample)
                throw SingleValue.Error($"A channel of layer '{Path}'", IsTraining && MovesStatistics);
            return Back(OfOne(View(x)), x);
        }
        Tensor y = F.batch_norm(
            View(x), place.BatchMean, place.BatchVariance, Gamma?.Tensor, Beta?.Tensor, true, 1.0,
            Options.EffectiveEpsilon);
        return Back(y, x);
    }

    /// <summary>A single value a channel is its own mean, and has no variance; libtorch refuses it.</summary>
    Tensor OfOne(Tensor x)
    {
        using (torch.no_grad())
        {
            place.BatchMean.copy_(x.reshape(-1));
            place.BatchVariance.zero_();
        }
        return Scaled(x.sub(x));
    }
}

/// <summary>
/// The exponential moving averages of several layers, in double behind each other on the device: means, then variances.
/// One step of all of them is three operations.
/// </summary>
sealed class MovingAverages(torch.Device device) : IDisposable
{
    readonly List<BatchNormalizationState> states = [];
    readonly List<Place> places = [];
    double[] hostDecay = [], hostGain = [];
    Tensor moving = null!, batch = null!, decay = null!, gain = null!;
    int channels;
    bool hasChanged;

    /// <summary>Where a layer's channels are.</summary>
    public sealed record Place(int Offset, int Channels)
    {
        /// <summary>The number of values a channel that the factors stand for; 0 before the first step.</summary>
        public int Positions { get; set; }

        /// <summary>Where the mean of a batch is written.</summary>
        // Made once: two views a batch take the host as long as the normalization of a small one.
        public Tensor BatchMean { get; set; } = null!;

        /// <summary>Where the sample variance of a batch is written.</summary>
        public Tensor BatchVariance { get; set; } = null!;
    }

    public Place Reserve(BatchNormalizationState state)
    {
        var place = new Place(channels, state.Channels);
        channels += state.Channels;
        places.Add(place);
        states.Add(state);
        return place;
    }

    /// <summary>Makes room on the device when all layers have reserved theirs.</summary>
    public void Allocate()
    {
        using var scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        double[] values = new double[2 * channels];
        for (int i = 0; i < places.Count; i++)
        {
            states[i].MovingMean.CopyTo(values.AsSpan(places[i].Offset));
            states[i].MovingVariance.CopyTo(values.AsSpan(channels + places[i].Offset));
        }
        hostDecay = new double[2 * channels];
        Array.Fill(hostDecay, 1);
        hostGain = new double[2 * channels];
        moving = Tensors.Keep(Tensors.Upload<double>(values, device, values.Length));
        batch = Tensors.Keep(torch.zeros([2 * channels], ScalarType.Float32, device));
        decay = Tensors.Keep(Tensors.Upload<double>(hostDecay, device, hostDecay.Length));
        gain = Tensors.Keep(Tensors.Upload<double>(hostGain, device, hostGain.Length));
        foreach (Place place in places)
        {
            (Tensor mean, Tensor variance) = Both(batch, place);
            (place.BatchMean, place.BatchVariance) = (Tensors.Keep(mean), Tensors.Keep(variance));
        }
    }

    /// <summary>The moving mean and variance; inside a dispose scope.</summary>
    public (Tensor Mean, Tensor Variance) Moving(Place place) => Both(moving, place);

    /// <summary>Says by what the next step weighs a layer's batch.</summary>
    public void Set(Place place, BatchNormalizationOptions options, int positions)
    {
        if (place.Positions == positions)
            return;
        place.Positions = positions;
        double share = 1 - options.EffectiveMomentum;
        double population =
            options.EffectiveVarianceConvention == VarianceConvention.Sample ? 1 : (positions - 1.0) / positions;
        hostDecay.AsSpan(place.Offset, place.Channels).Fill(options.EffectiveMomentum);
        hostDecay.AsSpan(channels + place.Offset, place.Channels).Fill(options.EffectiveMomentum);
        hostGain.AsSpan(place.Offset, place.Channels).Fill(share);
        hostGain.AsSpan(channels + place.Offset, place.Channels).Fill(share * population);
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

    public (double[] Mean, double[] Variance) Read(Place place)
    {
        using var scope = torch.NewDisposeScope();
        (Tensor mean, Tensor variance) = Moving(place);
        return (Tensors.Download<double>(mean), Tensors.Download<double>(variance));
    }

    public void Write(Place place, BatchNormalizationState state)
    {
        using var scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        (Tensor mean, Tensor variance) = Moving(place);
        mean.copy_(Tensors.Upload(state.MovingMean, torch.CPU, place.Channels));
        variance.copy_(Tensors.Upload(state.MovingVariance, torch.CPU, place.Channels));
    }

    public void Dispose()
    {
        foreach (Place place in places)
        {
            place.BatchMean.Dispose();
            place.BatchVariance.Dispose();
        }
        moving.Dispose();
        batch.Dispose();
        decay.Dispose();
        gain.Dispose();
    }

    (Tensor, Tensor) Both(Tensor values, Place place) => (
        values.narrow(0, place.Offset, place.Channels), values.narrow(0, channels + place.Offset, place.Channels));
}
