namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// Batch normalization with every option, in double, differentiated by autograd. Each batch's count, mean and sum of
/// squared deviations are copied to the host, where the same code updates the state as for <see cref="CpuEngine"/>.
/// </summary>
class GeneralBatchNormalizationModule(
    NetworkNode node, BatchNormalizationLayer layer, BatchNormalizationState state)
    : BatchNormalizationModule(node, layer, state)
{
    BatchNormalizationState? next;

    public override void Commit(int rows)
    {
        State = next ?? State;
        next = null;
        OnStatisticsMoved();
    }

    protected override BatchNormalizationState CurrentState() => State;

    protected override Tensor WithBatchStatistics(Tensor x)
    {
        ChannelLayout layout = Layout((int)x.shape[0]);
        int groups = RowGroups.OfSize(layout, IsTraining ? Options.VirtualBatchSize : null).Count;
        Tensor values = x.Reshape(layout);
        var statistics = new BatchStatistics[groups];
        var parts = new Tensor[groups];
        for (int group = 0; group < groups; group++)
        {
            Tensor rows = values.TakeGroup(layout, group, groups);
            parts[group] =
                Normalize(rows, out statistics[group]).reshape(-1, x.shape[1..].Aggregate(1L, (a, b) => a * b));
        }
        Move(statistics);
        return (groups == 1 ? parts[0] : Joined(parts, layout.Rows)).reshape(x.shape);
    }

    /// <summary>Moves the statistics on by those of all groups, once the step is committed.</summary>
    protected void Move(BatchStatistics[] statistics)
    {
        // If the input is not finite, neither is the loss, and the session undoes the step.
        if (MovesStatistics && IsTraining && Array.TrueForAll(statistics, DeviceStatistics.AreFinite))
            next = MovingUpdate.Next(Options, State, statistics);
    }

    /// <summary>Normalizes the rows of one group, as outer × channels × inner.</summary>
    Tensor Normalize(Tensor x, out BatchStatistics statistics)
    {
        bool ignores = Options.NonFinite == NonFinite.Ignore;
        Tensor values = x.to(ScalarType.Float64), finite = values.isfinite();
        Tensor kept = ignores ? torch.where(finite, values, torch.zeros_like(values)) : values;
        Tensor count = finite.to(ScalarType.Float64).sum([0, 2], true);
        Tensor mean = kept.sum([0, 2], true).div(count.clamp_min(Scalars.One));
        Tensor deviations = kept.sub(mean);
        if (ignores)
            deviations = torch.where(finite, deviations, torch.zeros_like(deviations));
        Tensor m2 = deviations.mul(deviations).sum([0, 2], true);
        using (torch.no_grad())
            statistics = DeviceStatistics.OfDeviations(count, mean, deviations, m2);
        if (Options.EffectiveVarianceConvention == VarianceConvention.Sample && DeviceStatistics.AreFinite(statistics))
            SingleValue.ThrowIfAny(statistics, IsTraining && MovesStatistics);

        Tensor variance = m2.div(count.clamp_min(Scalars.One)).add(Scalars.Of(Options.EffectiveEpsilon), Scalars.One);
        Tensor isPositive = variance.gt(Scalars.Of(0));
        Tensor inverse = torch.where(
            isPositive, torch.where(isPositive, variance, torch.ones_like(variance)).rsqrt(),
            torch.zeros_like(variance));
        Tensor normalized = Renormalized(deviations.mul(inverse), statistics).to(ScalarType.Float32);
        Tensor y = GroupAffine(normalized);
        return ignores ? torch.where(finite, y, x) : y;
    }

    Tensor Renormalized(Tensor normalized, BatchStatistics statistics)
    {
        if (Options.Renorm is null)
            return normalized;
        var correction = new Normalization(Options, State, statistics);
        double[] factor = new double[State.Channels], offset = new double[State.Channels];
        for (int c = 0; c < factor.Length; c++)
            (factor[c], offset[c]) = (correction.Factor(c), correction.Offset(c));
        return torch.addcmul(
            Tensors.Upload<double>(offset, Device, 1, offset.Length, 1), normalized,
            Tensors.Upload<double>(factor, Device, 1, factor.Length, 1), Scalars.One);
    }

    protected Tensor GroupAffine(Tensor x)
    {
        Tensor y = Gamma is null ? x : x.mul(Gamma.Tensor.reshape(1, -1, 1));
        return Beta is null ? y : y.add(Beta.Tensor.reshape(1, -1, 1), Scalars.One);
    }

    /// <summary>
    /// Joins the rows of all groups in the order of the batch. Row i is in group i mod the number of groups.
    /// </summary>
    Tensor Joined(Tensor[] groups, int rows)
    {
        long[] order = new long[rows];
        int rowsBefore = 0;
        int[] first = new int[groups.Length];
        for (int group = 0; group < groups.Length; group++)
        {
            first[group] = rowsBefore;
            rowsBefore += (int)groups[group].shape[0];
        }
        for (int row = 0; row < rows; row++)
            order[row] = first[row % groups.Length] + row / groups.Length;
        return torch.cat(groups).index_select(0, Tensors.Upload<long>(order, Device, rows));
    }
}
