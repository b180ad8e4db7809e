using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// <see cref="BatchNormalizationLayer"/> in a training session. An activation after it is part of the same pass if it
/// is an <see cref="IFusedActivation"/>.
/// </summary>
sealed unsafe class BatchNormalizationStage : Stage
{
    /// <summary>
    /// The number of arrays that a group has in <see cref="maps"/>: center, scale and shift of the forward map, and
    /// slope and shift of the gradient's map.
    /// </summary>
    const int MapArrays = 5;

    readonly BatchNormalizationOptions options;
    readonly ChannelKernels kernels;
    readonly int channels, room, valuesPerRow;
    readonly bool usesBatch, moves, learns;
    readonly Parameter? gamma, beta;
    RunningStatistics running = null!;
    BatchNormalizationState loaded = null!;
    bool changed;

    /// <summary>The ranks that train together; null for one.</summary>
    readonly ICollective? ranks;

    /// <summary>
    /// The number of groups of rows that share statistics in the current batch: one, or one per virtual batch.
    /// </summary>
    int groups = 1;

    /// <summary>
    /// The moments of each group in each block, and of each group; and per group 1/√(σ² + ε) and renormalization's r
    /// and d.
    /// </summary>
    AlignedMemory<double> blockMoments = new(0), moments = new(0);
    AlignedMemory<double> inverse = new(0), factor = new(0), offset = new(0);

    /// <summary>
    /// The two gradient sums of each group in each block; those of one group; and those of γ and β over all groups.
    /// </summary>
    AlignedMemory<double> blockSums = new(0);
    readonly AlignedMemory<double> sums, affineSums;
    AlignedMemory<float> maps = new(0);
    int capacity, mostGroups;

    /// <summary>With several ranks, the moments that they give to a message, and the gradient sums of each group.</summary>
    double[] gathered = [];
    AlignedMemory<double> groupSums = new(0);

    /// <summary>The moments of all rows while statistics are recomputed; else null.</summary>
    AlignedMemory<double>? total;

    public BatchNormalizationStage(StageContext context, BatchNormalizationLayer layer, ChannelKernels kernels)
        : base(context, new RowBuffer(context.Input.Width))
    {
        NetworkNode node = Node;
        options = layer.Options;
        channels = layer.Channels(node.Input);
        room = Simd.RoundUp(channels);
        valuesPerRow = node.Input.Size / channels;
        this.kernels = kernels;
        usesBatch = options.UsesBatchStatistics(training: true);
        moves = options.MovesStatistics(training: true);
        gamma = Tensor(BatchNormalizationTensors.Gamma) is { } scale ? new Parameter(node, scale) : null;
        beta = Tensor(BatchNormalizationTensors.Beta) is { } center ? new Parameter(node, center) : null;
        Parameters = [.. new[] { gamma, beta }.OfType<Parameter>()];
        learns = Learns;
        ranks = Step.Share?.Ranks;
        sums = new AlignedMemory<double>(2 * (long)room);
        affineSums = new AlignedMemory<double>(2 * (long)room);
    }

    public override IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>Whether training moves the layer's statistics.</summary>
    public bool Moves => moves;

    /// <summary>
    /// Whether inference normalizes rows with their own statistics, because the layer tracks no moving ones.
    /// </summary>
    public bool InfersFromBatch => !options.TrackMovingStatistics;

    public override void Load(LayerState state)
    {
        loaded = state.BatchNormalization!;
        BatchNormalization.CheckState(options, loaded);
        running = new RunningStatistics(options, loaded);
        base.Load(state);
    }

    /// <summary>Replaces the moving statistics; γ and β stay.</summary>
    public void SetStatistics(BatchNormalizationState state)
    {
        running = new RunningStatistics(options, state);
        changed = true;
    }

    public override LayerState Save() =>
        new(changed ? running.ToState(gamma is null ? [] : gamma.Values, beta is null ? [] : beta.Values) : loaded);

    public override void Grow(int rows)
    {
        base.Grow(rows);
        int most = GroupsOf(Math.Max(rows, Step.Share?.BatchRows ?? 0));
        if (rows <= capacity && most <= mostGroups)
            return;
        (capacity, mostGroups) = (Math.Max(rows, capacity), Math.Max(most, mostGroups));
        most = mostGroups;
        int blocks = Step.BlocksOf(capacity);
        blockMoments = new AlignedMemory<double>((long)Moments.Arrays * room * blocks * most);
        blockSums = new AlignedMemory<double>(2L * room * blocks * most);
        moments = new AlignedMemory<double>((long)Moments.Arrays * room * most);
        inverse = new AlignedMemory<double>((long)room * most);
        factor = new AlignedMemory<double>((long)room * most);
        offset = new AlignedMemory<double>((long)room * most);
        factor.Span.Fill(1);
        groupSums = new AlignedMemory<double>(ranks is null ? 0 : 2L * room * most);
        maps = new AlignedMemory<float>((long)MapArrays * room * most);
    }

    public override void BeginTraining(int rows)
    {
        groups = usesBatch ? GroupsOf(rows) : 1;
        if (!usesBatch)
            FormMovingMap();
        else if (options.EffectiveVarianceConvention == VarianceConvention.Sample)
            CheckCounts(rows, moves);
    }

    public override void BeginInference(int rows)
    {
        groups = 1;
        if (!InfersFromBatch)
            FormMovingMap();
        else if (options.EffectiveVarianceConvention == VarianceConvention.Sample)
            CheckCounts(rows, moves: false);
    }

    public override double Penalize()
    {
        // A channel may have a single value left after others were ignored.
        bool ignores = usesBatch && options.NonFinite == NonFinite.Ignore && !Step.Failed;
        for (int group = 0; ignores && group < groups; group++)
            CheckCounts(MomentsOf(group), moves);
        return base.Penalize();
    }

    public override void Commit()
    {
        if (moves)
            Move();
        base.Commit();
        changed |= moves || learns;
    }

    int GroupsOf(int rows) => RowGroups.CountOf(rows, usesBatch ? options.VirtualBatchSize : null);

    void CheckCounts(int rows, bool moves)
    {
        if ((long)(rows / groups) * valuesPerRow < 2)
            throw SingleValue.Error($"A channel of layer '{Path}'", moves);
    }

    /// <summary>The rows of a block that are in a group: the first one, and how many.</summary>
    (int First, int Rows) Slice(RowBlock block, int group)
    {
        if (groups > 1 && Step.Share is { } share)
            return share.Slice(block, group);
        int end = block.First + block.Rows, first = block.First + (group - block.First % groups + groups) % groups;
        return (first, first < end ? (end - 1 - first) / groups + 1 : 0);
    }

    /// <summary>The rows of a group in a buffer, from the given row of the group on.</summary>
    ChannelKernels.Rows Rows(RowBuffer buffer, int first) => new(buffer.Row(first), (nint)buffer.Stride * (ranks is null ? groups : 1));

    float* Map(int group, int array) => maps.Start + ((nint)group * MapArrays + array) * room;

    Span<float> MapOf(int group, int array) => new(Map(group, array), room);

    Moments MomentsOf(int group) =>
        Moments.In(moments.Start + (nint)group * Moments.Arrays * room, room);

    Moments BlockMoments(int block, int group) =>
        Moments.In(blockMoments.Start + ((nint)block * groups + group) * Moments.Arrays * room, room);

    double* BlockSums(int block, int group) => blockSums.Start + ((nint)block * groups + group) * 2 * room;

    public override IEnumerable<Pass> Forward() =>
        Passes(usesBatch, ranks is null ? MergeMoments : () => MergeMoments(ranks));

    public override IEnumerable<Pass> Infer() => Passes(InfersFromBatch, MergeMoments);

    Pass[] Passes(bool fromBatch, Action merge) => fromBatch
        ? [Pass.OnRows(AddMoments, merge), Pass.OnRows(Normalize)]
        : [Pass.OnRows(Normalize)];

    /// <summary>A pass that collects the moments of all rows until <see cref="EndRecompute"/>.</summary>
    public Pass BeginRecompute()
    {
        total = new AlignedMemory<double>(Moments.Arrays * (long)room);
        return Pass.OnRows(AddMoments, MergeIntoTotal);
    }

    /// <summary>Makes the collected moments, those of all ranks, the moving statistics.</summary>
    /// <param name="error">What kept this rank from collecting all moments, if others wait for it; or null.</param>
    /// <exception cref="InvalidDataException">
    /// A value is not finite, or a channel has only one and the options ask for the sample variance.
    /// </exception>
    public void EndRecompute(Exception? error)
    {
        if (ranks is not null)
            GatherTotal(ranks, error);
        Moments all = Moments.In(total!.Start, room);
        CheckFinite(all);
        CheckCounts(all, moves: true);
        running.Replace(total.Span);
        changed = true;
        total = null;
    }

    /// <summary>The moments that were collected since <see cref="BeginRecompute"/>. The statistics stay.</summary>
    public BatchStatistics EndMeasurement()
    {
        ReadOnlySpan<double> all = total!.Span;
        double[] packed = new double[Moments.Arrays * channels];
        for (int array = 0; array < Moments.Arrays; array++)
            all.Slice(array * room, channels).CopyTo(packed.AsSpan(array * channels));
        total = null;
        return new BatchStatistics(packed);
    }

    /// <summary>Moves the statistics by the last batch in training mode, if the options let them move.</summary>
    /// <exception cref="InvalidDataException">
    /// A value is not finite, or a channel has only one and the options ask for the sample variance; nothing has moved.
    /// </exception>
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

    /// <summary>Merges the moments of all ranks in the order of the ranks. One message.</summary>
    void MergeMoments(ICollective ranks)
    {
        int length = groups * Moments.Arrays * room;
        Span<double> own = moments.Span[..length];
        own.Clear();
        for (int group = 0; group < groups; group++)
            MergeBlocks(group, MomentsOf(group));
        MergeRanks(ranks, own, own, groups);
        for (int group = 0; group < groups; group++)
            FormMap(group);
    }

    /// <summary>Replaces the collected moments by those of all ranks, or throws on all. One message.</summary>
    void GatherTotal(ICollective ranks, Exception? error)
    {
        int length = Moments.Arrays * room;
        double[] own = new double[length + 1];
        total!.Span.CopyTo(own);
        own[length] = (double)RankError.KindOf(error);
        double[] all = MergeRanks(ranks, own, total.Span, groups: 1);
        for (int rank = 0; rank < ranks.Size; rank++)
        {
            if (all[rank * own.Length + length] is > 0 and var kind)
                ranks.Throw(error, rank, (RankErrorKind)kind);
        }
    }

    /// <summary>Merges the moments of groups, those of rank 0 first.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="own">The message of this rank, which begins with its moments.</param>
    /// <param name="merged">Receives the moments.</param>
    /// <param name="groups">The number of groups.</param>
    /// <returns>The messages of all ranks.</returns>
    double[] MergeRanks(ICollective ranks, ReadOnlySpan<double> own, Span<double> merged, int groups)
    {
        if (gathered.Length < ranks.Size * own.Length)
            gathered = new double[ranks.Size * own.Length];
        ranks.Gather(MemoryMarshal.AsBytes(own), MemoryMarshal.AsBytes(gathered.AsSpan(0, ranks.Size * own.Length)));
        merged.Clear();
        fixed (double* target = merged, source = gathered)
        {
            for (int rank = 0; rank < ranks.Size; rank++)
            {
                for (int group = 0; group < groups; group++)
                {
                    nint at = (nint)group * Moments.Arrays * room;
                    MomentsMerge.Into(
                        Moments.In(target + at, room), Moments.In(source + (nint)rank * own.Length + at, room), room);
                }
            }
        }
        return gathered;
    }

    void MergeIntoTotal() => MergeBlocks(group: 0, Moments.In(total!.Start, room));

    void MergeBlocks(int group, Moments into)
    {
        for (int block = 0; block < Step.Blocks; block++)
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

    /// <summary>Computes the forward map of a group from its moments.</summary>
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

    public override IEnumerable<Pass> Backward()
    {
        bool passesOn = InputGradient is not null;
        if (!Learns && !usesBatch)
            return [Pass.OnRows(ScaleGradient)];
        if (usesBatch && passesOn)
        {
            Action merge = ranks is null ? MergeGradients : () => MergeGradients(ranks);
            return [Pass.OnRows(SumGradients, merge), Pass.OnRows(FormGradient)];
        }
        return passesOn
            ? [Pass.OnRows(SumGradients), Pass.OnRows(FormGradient), Pass.OnItems(1, _ => MergeGradients())]
            : [Pass.OnRows(SumGradients), Pass.OnItems(1, _ => MergeGradients())];
    }

    void SumGradients(RowBlock block)
    {
        for (int group = 0; group < groups; group++)
        {
            (int first, int rows) = Slice(block, group);
            double* result = BlockSums(block.Index, group);
            if (rows == 0)
            {
                new Span<double>(result, 2 * room).Clear();
                continue;
            }
            kernels.SumGradients(
                Rows(Input, first), Rows(Output, first), Rows(OutputGradient!, first), rows, Map(group, 0), result,
                result + room);
        }
    }

    void ScaleGradient(RowBlock block) =>
        kernels.ScaleGradient(
            Rows(Input, block.First), Rows(Output, block.First), Rows(OutputGradient!, block.First), block.Rows,
            Map(0, 1));

    /// <summary>
    /// Runs after <see cref="SumGradients"/>, which has applied the activation's derivative. For moving statistics,
    /// slope and shift of the gradient's map are 0.
    /// </summary>
    void FormGradient(RowBlock block)
    {
        for (int group = 0; group < groups; group++)
        {
            (int first, int rows) = Slice(block, group);
            if (rows > 0)
            {
                kernels.FormGradient(
                    Rows(Input, first), Rows(OutputGradient!, first), rows, Map(group, 0), Map(group, 1),
                    Map(group, 3), Map(group, 4));
            }
        }
    }

    void MergeGradients()
    {
        affineSums.Span.Clear();
        for (int group = 0; group < groups; group++)
        {
            MergeSums(group, sums.Start);
            FormGradientMap(group, sums.Start);
        }
        TakeAffineSums();
    }

    /// <summary>
    /// Forms the gradients of γ and β from this rank's sums, since those of all ranks are added up later, and the map of
    /// the input's gradient from the sums of all ranks. One message.
    /// </summary>
    void MergeGradients(ICollective ranks)
    {
        affineSums.Span.Clear();
        for (int group = 0; group < groups; group++)
        {
            MergeSums(group, GroupSums(group));
            FormGradientMap(group, GroupSums(group));
        }
        TakeAffineSums();
        ranks.Sum(groupSums.Span[..(groups * 2 * room)]);
        for (int group = 0; group < groups; group++)
            FormGradientMap(group, GroupSums(group));
    }

    double* GroupSums(int group) => groupSums.Start + (nint)group * 2 * room;

    void MergeSums(int group, double* into)
    {
        new Span<double>(into, 2 * room).Clear();
        for (int block = 0; block < Step.Blocks; block++)
            Add(BlockSums(block, group), into, 2 * room);
    }

    void TakeAffineSums()
    {
        if (!Finite.All<double>(affineSums.Span[..channels])
            || !Finite.All<double>(affineSums.Span.Slice(room, channels)))
            Step.Fail();
        if (gamma is { IsTrained: true })
            Narrow(affineSums.Start, gamma.Gradient);
        if (beta is { IsTrained: true })
            Narrow(affineSums.Start + room, beta.Gradient);
    }

    /// <summary>
    /// Computes the map of a group's gradient from its sums, by the formula of <see cref="BatchNorm.InputGradient"/>,
    /// and adds to the gradients of γ and β.
    /// </summary>
    void FormGradientMap(int group, double* sums)
    {
        Moments merged = MomentsOf(group);
        nint at = (nint)group * room;
        float* center = Map(group, 0), slope = Map(group, 3), shift = Map(group, 4);
        for (int c = 0; c < room; c += 8)
        {
            Vector512<double> mean = usesBatch ? Vector512.Load(merged.Mean + c) : running.MeanAt(c);
            Vector512<double> off = mean - Simd.Widen(Vector256.Load(center + c));
            Vector512<double> inverses = Vector512.Load(inverse.Start + at + c);
            Vector512<double> gradient = Vector512.Load(sums + c);
            Vector512<double> product = Vector512.Load(sums + room + c) - off * gradient;
            Vector512<double> factors = Vector512.Load(factor.Start + at + c) * inverses;
            Vector512<double> offsets = Vector512.Load(offset.Start + at + c);
            Accumulate(factors * product + offsets * gradient, affineSums.Start + c);
            Accumulate(gradient, affineSums.Start + room + c);
            if (!usesBatch)
                continue;
            Vector512<double> count = Vector512.Load(merged.Count + c);
            Vector512<double> share = Vector512.ConditionalSelect(
                Vector512.Equals(count, Vector512<double>.Zero), Vector512<double>.Zero, Vector512<double>.One / count);
            Vector512<double> slopes = inverses * (inverses * (product * share));
            Simd.Narrow(slopes).Store(slope + c);
            Simd.Narrow(gradient * share - off * slopes).Store(shift + c);
        }
    }

    static void Add(double* values, double* to, int length)
    {
        for (int i = 0; i < length; i += 8)
            Accumulate(Vector512.Load(values + i), to + i);
    }

    static void Accumulate(Vector512<double> values, double* to) => (Vector512.Load(to) + values).Store(to);

    void Narrow(double* values, float* to)
    {
        for (int c = 0; c < room; c += 8)
            Simd.Narrow(Vector512.Load(values + c)).Store(to + c);
        new Span<float>(to + channels, room - channels).Clear();
    }
}
