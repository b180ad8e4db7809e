using Microsoft.ML.BatchNorm.TorchSharp.Runtime;

namespace Microsoft.ML.BatchNorm.TorchSharp.Training;

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
