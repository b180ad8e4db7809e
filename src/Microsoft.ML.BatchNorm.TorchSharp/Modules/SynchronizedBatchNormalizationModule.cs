namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// Batch normalization with the statistics of the rows of all ranks. The graph of autograd ends at the normalized
/// values. <see cref="Backward"/> adds up the two sums of their gradient over all ranks, and carries the gradient on to
/// the input. γ and β lie behind the cut, so their gradients are those of the rank's own rows.
/// </summary>
/// <remarks>
/// A function of autograd's own would make calls of the collective from libtorch: on a GPU from another thread, and an
/// exception in such a call ends the process.
/// </remarks>
sealed class SynchronizedBatchNormalizationModule(
    NetworkNode node, BatchNormalizationLayer layer, BatchNormalizationState state, BatchShare share)
    : GeneralBatchNormalizationModule(node, layer, state)
{
    Cut? cut;

    /// <summary>Where the graph is cut in a step.</summary>
    /// <param name="Input">The input.</param>
    /// <param name="Normalized">The normalized values, a leaf.</param>
    /// <param name="Inverse">1 / √(σ² + ε) per channel.</param>
    /// <param name="Count">How many values per channel all ranks have.</param>
    /// <param name="Finite">Which values count; null for all.</param>
    sealed record Cut(Tensor Input, Tensor Normalized, double[] Inverse, double[] Count, Tensor? Finite);

    public override void BeginStep(int seed, long step) => cut = null;

    /// <summary>
    /// Carries the gradient on to the input, once all layers behind this one have done that. Call it on all ranks, in a
    /// step's dispose scope.
    /// </summary>
    public void Backward()
    {
        if (cut is not { Normalized.requires_grad: true } step)
            return;
        cut = null;
        using IDisposable noGradient = torch.no_grad();
        int channels = step.Count.Length;
        double[] sums = new double[2 * channels];
        Tensor? gradient = share.Rows.IsEmpty ? null : step.Normalized.grad?.to(ScalarType.Float64),
            normalized = step.Normalized.detach().to(ScalarType.Float64);
        if (gradient is not null)
            Tensors.Download<double>(
                torch.cat([gradient.sum([0, 2], false), gradient.mul(normalized).sum([0, 2], false)]), sums);
        share.Ranks.Sum(sums);
        if (gradient is null)
            return;
        for (int i = 0; i < sums.Length; i++)
            sums[i] /= Math.Max(1, step.Count[i % channels]);
        Tensor means = OnDevice(sums.AsSpan(0, channels)), slopes = OnDevice(sums.AsSpan(channels));
        Tensor inputGradient = gradient.sub(means).sub(normalized.mul(slopes)).mul(OnDevice(step.Inverse));
        if (step.Finite is not null)
            inputGradient = torch.where(step.Finite, inputGradient, torch.zeros_like(inputGradient));
        // Another cut, or the loss, may need parts of this graph again.
        step.Input.backward([inputGradient.to(step.Input.dtype)], retain_graph: true);
    }

    protected override Tensor Normalize(Tensor x, out BatchStatistics statistics)
    {
        bool ignores = Options.NonFinite == NonFinite.Ignore;
        statistics = new BatchStatistics(Channels);
        Tensor values, centered, normalized;
        Tensor? finite;
        double[] inverse = new double[Channels];
        using (torch.no_grad())
        {
            BatchStatistics mine = share.Rows.IsEmpty
                ? new BatchStatistics(Channels)
                : DeviceStatistics.Of(x, ignores);
            statistics.MergeOfAll(share.Ranks, mine, note: 0);
            if (Options.EffectiveVarianceConvention == VarianceConvention.Sample
                && DeviceStatistics.AreFinite(statistics))
                SingleValue.ThrowIfAny(statistics, MovesStatistics);
            for (int c = 0; c < inverse.Length; c++)
            {
                double variance =
                    statistics.M2[c] / Math.Max(1, statistics.Count[c]) + Options.EffectiveEpsilon;
                inverse[c] = variance > 0 ? 1 / Math.Sqrt(variance) : 0;
            }
            values = x.detach().to(ScalarType.Float64);
            finite = ignores ? values.isfinite() : null;
            centered = values.sub(OnDevice(statistics.Mean));
            if (finite is not null)
                centered = torch.where(finite, centered, torch.zeros_like(centered));
            normalized = centered.mul(OnDevice(inverse)).to(ScalarType.Float32);
        }
        normalized.requires_grad = x.requires_grad;
        cut = new Cut(x, normalized, inverse, statistics.Count.ToArray(), finite);
        Tensor y = GroupAffine(normalized);
        return finite is null ? y : torch.where(finite, y, x);
    }

    Tensor OnDevice(ReadOnlySpan<double> values) => Tensors.Upload(values, Device, 1, values.Length, 1);
}
