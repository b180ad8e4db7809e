using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

sealed unsafe partial class BatchNormalizationStage
{
    AlignedMemory<double>? total;

    public override IEnumerable<Pass> Forward() => Passes(usesBatch);

    public override IEnumerable<Pass> Infer() => Passes(InfersFromBatch);

    Pass[] Passes(bool fromBatch) => fromBatch
        ? [Pass.OnRows(AddMoments, MergeMoments), Pass.OnRows(Normalize)]
        : [Pass.OnRows(Normalize)];

    /// <summary>Collects the moments of all rows until <see cref="EndRecompute"/>.</summary>
    public Pass BeginRecompute()
    {
        total = new AlignedMemory<double>(Moments.Arrays * (long)room);
        return Pass.OnRows(AddMoments, MergeIntoTotal);
    }

    /// <summary>Makes the collected moments the moving statistics.</summary>
    /// <exception cref="InvalidDataException">A value is not finite, or a channel has too few.</exception>
    public void EndRecompute()
    {
        Moments all = Moments.In(total!.Start, room);
        CheckFinite(all);
        CheckCounts(all, moves: true);
        running.Replace(total.Span);
        changed = true;
        total = null;
    }

    /// <summary>Moves the statistics by the last batch in training mode, if the options let them move.</summary>
    /// <exception cref="InvalidDataException">A value is not finite; nothing has moved.</exception>
    public void TakeStatistics()
    {
        if (!moves)
            return;
        for (int group = 0; group < groups; group++)
        {
            CheckFinite(MomentsOf(group));
            CheckCounts(MomentsOf(group), moves);
        }
        Move();
        changed = true;
    }

    void CheckFinite(Moments gathered)
    {
        int channel = Finite.IndexOf<double>(new(gathered.M2, channels));
        if (channel >= 0)
            throw new InvalidDataException($"The input of layer '{Path}' is not finite in channel {channel}.");
    }

    void CheckCounts(Moments gathered, bool moves)
    {
        if (options.EffectiveVarianceConvention != VarianceConvention.Sample)
            return;
        int channel = new ReadOnlySpan<double>(gathered.Count, channels).IndexOf(1);
        if (channel >= 0)
            throw SingleValue.Error($"Channel {channel} of layer '{Path}'", moves);
    }

    void Move() => running.Move(moments.Start, groups);

    void AddMoments(RowBlock block)
    {
        for (int group = 0; group < groups; group++)
        {
            (int first, int rows) = Slice(block, group);
            Moments result = BlockMoments(block.Index, group);
            if (rows > 0)
                kernels.AddMoments(Rows(Input, first), rows, result);
            else
                new Span<double>(result.Count, Moments.Arrays * room).Clear();
        }
    }

    void MergeMoments()
    {
        moments.Span.Clear();
        for (int group = 0; group < groups; group++)
        {
            MergeBlocks(group, MomentsOf(group));
            FormMap(group);
        }
    }

    void MergeIntoTotal() => MergeBlocks(group: 0, Moments.In(total!.Start, room));

    void MergeBlocks(int group, Moments into)
    {
        for (int block = 0; block < step.Blocks; block++)
            MomentsMerge.Into(into, BlockMoments(block, group), room);
    }

    void Normalize(RowBlock block)
    {
        for (int group = 0; group < groups; group++)
        {
            (int first, int rows) = Slice(block, group);
            if (rows > 0)
            {
                kernels.Normalize(
                    Rows(Input, first), Rows(Output, first), rows, Map(group, 0), Map(group, 1), Map(group, 2));
            }
        }
    }

    /// <summary>Forms the map of a group from its moments.</summary>
    void FormMap(int group)
    {
        Moments merged = MomentsOf(group);
        Span<double> mean = new(merged.Mean, room), inverses = InverseOf(group);
        ChannelMath.InverseDeviation(new(merged.M2, room), new(merged.Count, room), options.EffectiveEpsilon, inverses);
        if (options.NonFinite == NonFinite.Ignore)
        {
            Normalization.TakeMovingForEmpty(
                options, new(merged.Count, channels), running.Mean, running.Variance, mean, inverses);
        }
        Span<double> factors = default, offsets = default;
        if (options.Renorm is not null)
        {
            factors = factor.Span.Slice(group * room, room);
            offsets = offset.Span.Slice(group * room, room);
            Renormalization.Correct(
                options, merged, running.RenormMean, running.RenormDeviation, factors, offsets);
        }
        FormMap(mean, group, factors, offsets);
    }

    void FormMovingMap()
    {
        ChannelMath.InverseDeviation(running.Variance, options.EffectiveEpsilon, InverseOf(group: 0));
        FormMap(running.Mean, group: 0, factors: default, offsets: default);
    }

    void FormMap(
        ReadOnlySpan<double> mean, int group, ReadOnlySpan<double> factors, ReadOnlySpan<double> offsets) =>
        ChannelMath.Affine(
            mean, InverseOf(group), Padded(gamma), Padded(beta), factors, offsets, MapOf(group, 0), MapOf(group, 1),
            MapOf(group, 2));

    Span<double> InverseOf(int group) => inverse.Span.Slice(group * room, room);

    static ReadOnlySpan<float> Padded(Parameter? parameter) =>
        parameter is null ? [] : new(parameter.Value, parameter.Room);
}
