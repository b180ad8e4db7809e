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

    /// <summary>Gathers the moments of all rows that pass by from here to <see cref="EndRecompute"/>.</summary>
    public Pass BeginRecompute()
    {
        total = new AlignedMemory<double>(Moments.Arrays * (long)room);
        return Pass.OnRows(AddMoments, MergeIntoTotal);
    }

    /// <summary>Takes the moments gathered for the moving statistics.</summary>
    /// <exception cref="InvalidDataException">A value was not finite, or too few were there.</exception>
    public void EndRecompute()
    {
        Moments all = Moments.In(total!.Start, room);
        CheckFinite(all);
        for (int c = 0; c < channels; c++)
        {
            if (options.EffectiveVarianceConvention == VarianceConvention.Sample && all.Count[c] == 1)
                throw SingleValue.Error($"Channel {c} of layer '{Path}'", moves: true);
        }
        running.Replace(total);
        changed = true;
        total = null;
    }

    /// <summary>Moves the statistics by the batch that has gone forward in training mode, if they move.</summary>
    /// <exception cref="InvalidDataException">A value was not finite; nothing has moved.</exception>
    public void TakeStatistics()
    {
        if (!moves)
            return;
        for (int group = 0; group < groups; group++)
            CheckFinite(Moments.In(moments[group].Start, room));
        Move();
        changed = true;
    }

    void CheckFinite(Moments gathered)
    {
        for (int c = 0; c < channels; c++)
        {
            if (!double.IsFinite(gathered.M2[c]))
                throw new InvalidDataException($"The input of layer '{Path}' is not finite in channel {c}.");
        }
    }

    void Move() => running.Move(moments.AsSpan(0, groups));

    void AddMoments(RowBlock block)
    {
        for (int group = 0; group < groups; group++)
        {
            (int first, int rows) = Slice(block, group);
            Moments result = BlockMoments(block.Index, group);
            if (rows > 0)
                kernels.AddMoments(Input.Row(first), (nint)Input.Stride * groups, rows, result);
            else
                new Span<double>(result.Count, Moments.Arrays * room).Clear();
        }
    }

    void MergeMoments()
    {
        for (int group = 0; group < groups; group++)
        {
            moments[group].Span.Clear();
            MergeBlocks(group, moments[group]);
            Fold(group);
        }
    }

    void MergeIntoTotal() => MergeBlocks(group: 0, total!);

    void MergeBlocks(int group, AlignedMemory<double> into)
    {
        Moments merged = Moments.In(into.Start, room);
        for (int block = 0; block < step.Blocks; block++)
            MomentsMerge.Into(merged, BlockMoments(block, group), room);
    }

    void Normalize(RowBlock block)
    {
        for (int group = 0; group < groups; group++)
        {
            (int first, int rows) = Slice(block, group);
            if (rows > 0)
            {
                kernels.Normalize(
                    Input.Row(first), (nint)Input.Stride * groups, Output.Row(first), (nint)Output.Stride * groups,
                    rows, Map(group, 0), Map(group, 1), Map(group, 2));
            }
        }
    }

    /// <summary>The map of a group from its moments.</summary>
    void Fold(int group)
    {
        Moments merged = Moments.In(moments[group].Start, room);
        Span<double> inverses = inverse.Span.Slice(group * room, room);
        ChannelMath.InverseDeviation(new(merged.M2, room), new(merged.Count, room), options.EffectiveEpsilon, inverses);
        if (options.NonFinite == NonFinite.Ignore)
            TakeMovingForEmpty(merged, inverses);
        FoldAffine(new(merged.Mean, room), group);
        if (options.Renorm is not null)
            Correct(merged, group);
    }

    void FoldMoving()
    {
        ChannelMath.InverseDeviation(running.Variance, options.EffectiveEpsilon, inverse.Span[..room]);
        FoldAffine(running.Mean, group: 0);
    }

    void FoldAffine(ReadOnlySpan<double> mean, int group) =>
        ChannelMath.Affine(
            mean, inverse.Span.Slice(group * room, room), Padded(gamma), Padded(beta), MapOf(group, 0), MapOf(group, 1),
            MapOf(group, 2));

    static ReadOnlySpan<float> Padded(Parameter? parameter) =>
        parameter is null ? [] : new(parameter.Value, parameter.Room);

    /// <summary>A channel without a value in the batch is normalized with its moving statistics.</summary>
    void TakeMovingForEmpty(Moments merged, Span<double> inverses)
    {
        for (int c = 0; c < channels; c++)
        {
            if (merged.Count[c] != 0)
                continue;
            double variance = running.Variance[c] + options.EffectiveEpsilon;
            merged.Mean[c] = running.Mean[c];
            inverses[c] = variance > 0 ? 1 / Math.Sqrt(variance) : 0;
        }
    }

    /// <summary>Renormalization's r and d in a map.</summary>
    void Correct(Moments merged, int group)
    {
        Span<float> centers = MapOf(group, 0), scales = MapOf(group, 1), shifts = MapOf(group, 2);
        for (int c = 0; c < channels; c++)
        {
            (double r, double d) = merged.Count[c] == 0
                ? (1, 0)
                : running.Correction(c, merged.Mean[c], merged.M2[c] / merged.Count[c]);
            (factor.Start[group * room + c], offset.Start[group * room + c]) = (r, d);
            double g = gamma is null ? 1 : gamma.Value[c], b = beta is null ? 0 : beta.Value[c];
            double scale = g * r * inverse.Start[group * room + c];
            scales[c] = (float)scale;
            shifts[c] = (float)(b + g * d - (merged.Mean[c] - centers[c]) * scale);
        }
    }
}
