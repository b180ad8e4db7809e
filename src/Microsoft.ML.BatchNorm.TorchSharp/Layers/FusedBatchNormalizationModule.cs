using Microsoft.ML.BatchNorm.TorchSharp.Training;

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
