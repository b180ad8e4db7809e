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

    /// <summary>Where the graph is cut in a step. Tensors are outer × channels × inner, with the rows in front.</summary>
    /// <param name="Input">The input.</param>
    /// <param name="Normalized">The normalized values, a leaf.</param>
    /// <param name="Groups">The rows of each group that shares statistics.</param>
    /// <param name="Inverse">1 / √(σ² + ε), for each group and channel.</param>
    /// <param name="Count">How many values all ranks have, for each group and channel.</param>
    /// <param name="Finite">Which values count; null for all.</param>
    sealed record Cut(
        Tensor Input, Tensor Normalized, Groups Groups, double[] Inverse, double[] Count, Tensor? Finite);

    public override void BeginStep(int seed, long step) => cut = null;

    /// <summary>
    /// Carries the gradient on to the input, once all layers behind this one have done that. Call it on all ranks, in a
    /// step's dispose scope. One message.
    /// </summary>
    public void Backward()
    {
        if (cut is not { Normalized.requires_grad: true } step)
            return;
        cut = null;
        using IDisposable noGradient = torch.no_grad();
        int length = step.Count.Length;
        double[] sums = new double[2 * length];
        Tensor? gradient = share.Rows.IsEmpty ? null : step.Normalized.grad?.to(ScalarType.Float64),
            normalized = step.Normalized.detach().to(ScalarType.Float64);
        if (gradient is not null)
            Tensors.Download<double>(
                torch.cat([step.Groups.Sums(gradient), step.Groups.Sums(gradient.mul(normalized))]), sums);
        share.Ranks.Sum(sums);
        if (gradient is null)
            return;
        for (int i = 0; i < sums.Length; i++)
            sums[i] /= Math.Max(1, step.Count[i % length]);
        Tensor means = step.Groups.Spread(sums.AsSpan(0, length)), slopes = step.Groups.Spread(sums.AsSpan(length));
        Tensor inputGradient =
            gradient.sub(means).sub(normalized.mul(slopes)).mul(step.Groups.Spread(step.Inverse));
        if (step.Finite is not null)
            inputGradient = torch.where(step.Finite, inputGradient, torch.zeros_like(inputGradient));
        // Another cut, or the loss, may need parts of this graph again.
        step.Input.backward([inputGradient.to(step.Input.dtype)], retain_graph: true);
    }

    protected override Tensor WithBatchStatistics(Tensor x)
    {
        bool ignores = Options.NonFinite == NonFinite.Ignore;
        Tensor input = x.Reshape(Layout((int)x.shape[0])), normalized;
        Tensor? finite;
        Groups groups = new(share, Options.VirtualBatchSize, input, x.shape[0]);
        double[] inverse = new double[groups.Count * Channels], count = new double[inverse.Length];
        BatchStatistics[] statistics;
        using (torch.no_grad())
        {
            statistics = StatisticsOfAll(groups, input, ignores);
            double[] mean = new double[inverse.Length];
            for (int i = 0; i < inverse.Length; i++)
            {
                (BatchStatistics group, int c) = (statistics[i / Channels], i % Channels);
                (mean[i], count[i]) = (group.Mean[c], group.Count[c]);
                double variance = group.M2[c] / Math.Max(1, group.Count[c]) + Options.EffectiveEpsilon;
                inverse[i] = variance > 0 ? 1 / Math.Sqrt(variance) : 0;
            }
            Tensor values = input.detach().to(ScalarType.Float64), centered = values.sub(groups.Spread(mean));
            finite = ignores ? values.isfinite() : null;
            if (finite is not null)
                centered = torch.where(finite, centered, torch.zeros_like(centered));
            normalized = centered.mul(groups.Spread(inverse)).to(ScalarType.Float32);
        }
        normalized.requires_grad = input.requires_grad;
        cut = new Cut(input, normalized, groups, inverse, count, finite);
        Move(statistics);
        Tensor y = GroupAffine(Renormalized(normalized, groups, statistics));
        return (finite is null ? y : torch.where(finite, y, input)).reshape(x.shape);
    }

    /// <summary>The statistics of each group's rows on all ranks. One message.</summary>
    BatchStatistics[] StatisticsOfAll(Groups groups, Tensor input, bool ignores)
    {
        BatchStatistics[] mine = new BatchStatistics[groups.Count], all = new BatchStatistics[groups.Count];
        for (int group = 0; group < all.Length; group++)
        {
            Tensor? rows = groups.Rows(input, group);
            mine[group] = rows is null ? new BatchStatistics(Channels) : DeviceStatistics.Of(rows, ignores);
            all[group] = new BatchStatistics(Channels);
        }
        BatchStatistics.MergeOfAll(share.Ranks, all, mine, note: 0);
        if (Options.EffectiveVarianceConvention == VarianceConvention.Sample)
        {
            foreach (BatchStatistics group in all.Where(DeviceStatistics.AreFinite))
                SingleValue.ThrowIfAny(group, MovesStatistics);
        }
        return all;
    }

    Tensor Renormalized(Tensor normalized, Groups groups, BatchStatistics[] statistics)
    {
        if (Options.Renorm is null)
            return normalized;
        double[] factor = new double[groups.Count * Channels], offset = new double[factor.Length];
        for (int i = 0; i < factor.Length; i++)
        {
            var correction = new Normalization(Options, State, statistics[i / Channels]);
            (factor[i], offset[i]) = (correction.Factor(i % Channels), correction.Offset(i % Channels));
        }
        return normalized.to(ScalarType.Float64).mul(groups.Spread(factor)).add(groups.Spread(offset), Scalars.One)
            .to(ScalarType.Float32);
    }

    /// <summary>
    /// Which of this rank's rows share statistics. The rows of a group lie one after the other. A row that stands in for
    /// none is in no group.
    /// </summary>
    sealed class Groups
    {
        readonly (long First, long Length)[] parts;
        readonly Tensor? groupOf;
        readonly torch.Device device;

        public Groups(BatchShare share, int? virtualBatchSize, Tensor input, long rows)
        {
            (parts, device) = (new (long, long)[RowGroups.CountOf(share.BatchRows, virtualBatchSize)], input.device);
            long outerPerRow = input.shape[0] / rows;
            long[] groups = new long[input.shape[0]];
            var all = new RowBlock(0, 0, share.Rows.Length);
            for (int group = 0; group < parts.Length; group++)
            {
                (int first, int count) = parts.Length == 1 ? (0, all.Rows) : share.Slice(all, group);
                parts[group] = (first * outerPerRow, count * outerPerRow);
                groups.AsSpan((int)parts[group].First, (int)parts[group].Length).Fill(group);
            }
            groupOf = parts.Length == 1 ? null : Tensors.Upload<long>(groups, device, groups.Length);
        }

        public int Count => parts.Length;

        /// <summary>The rows of a group; null if this rank has none.</summary>
        public Tensor? Rows(Tensor x, int group) =>
            parts[group].Length == 0 ? null : x.narrow(0, parts[group].First, parts[group].Length);

        /// <summary>The sums over each group's rows, for each group and channel.</summary>
        public Tensor Sums(Tensor x) => torch.cat([
            .. Enumerable.Range(0, Count).Select(group =>
                Rows(x, group)?.sum([0, 2], false) ?? torch.zeros(x.shape[1], x.dtype, device)),
        ]);

        /// <summary>Values for each group and channel, in a shape that fits the rows.</summary>
        public Tensor Spread(ReadOnlySpan<double> values)
        {
            Tensor tensor = Tensors.Upload(values, device, Count, values.Length / Count, 1);
            return groupOf is null ? tensor : tensor.index_select(0, groupOf);
        }
    }
}
