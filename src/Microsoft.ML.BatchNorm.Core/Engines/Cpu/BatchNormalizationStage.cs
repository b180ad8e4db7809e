using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// <see cref="BatchNormalizationLayer"/> in a training session. An activation after it is part of the same pass if it
/// is an <see cref="IFusedActivation"/>.
/// </summary>
sealed unsafe partial class BatchNormalizationStage : Stage
{
    /// <summary>The arrays of one group's maps: center, scale and shift forward, slope and rest backward.</summary>
    const int MapArrays = 5;

    readonly Step step;
    readonly BatchNormalizationOptions options;
    readonly ChannelKernels kernels;
    readonly int channels, room, valuesPerRow;
    readonly bool usesBatch, moves, learns;
    readonly Parameter? gamma, beta;
    RunningStatistics running = null!;
    BatchNormalizationState loaded = null!;
    bool changed;

    /// <summary>The groups of rows of the current batch that share statistics: one, or the virtual batches.</summary>
    int groups = 1;

    /// <summary>The moments of each block and group, those of each group, and its 1/√(σ² + ε), r and d.</summary>
    AlignedMemory<double> blockMoments = new(0), moments = new(0);
    AlignedMemory<double> inverse = new(0), factor = new(0), offset = new(0);

    /// <summary>The two sums of each block and group; then those of one group and those of all.</summary>
    AlignedMemory<double> blockSums = new(0);
    readonly AlignedMemory<double> sums, affineSums;
    AlignedMemory<float> maps = new(0);
    int capacity;

    public BatchNormalizationStage(
        NetworkNode node, BatchNormalizationLayer layer, RowBuffer input, Step step, ChannelKernels kernels)
        : base(node, input, new RowBuffer(input.Width))
    {
        this.step = step;
        options = layer.EffectiveOptions;
        channels = layer.Channels(node.Input);
        room = Vectors.RoundUp(channels);
        valuesPerRow = node.Input.Size / channels;
        this.kernels = kernels;
        usesBatch = options.UsesBatchStatistics(training: true);
        moves = options.MovesStatistics(training: true);
        gamma = Tensor(BatchNormalizationTensors.Gamma) is { } scale ? new Parameter(node, scale) : null;
        beta = Tensor(BatchNormalizationTensors.Beta) is { } center ? new Parameter(node, center) : null;
        Parameters = [.. new[] { gamma, beta }.OfType<Parameter>()];
        learns = Learns;
        sums = new AlignedMemory<double>(2 * (long)room);
        affineSums = new AlignedMemory<double>(2 * (long)room);
    }

    public override IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>Whether training moves its statistics.</summary>
    public bool Moves => moves;

    /// <summary>Whether inference needs the statistics of the rows themselves.</summary>
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
        if (rows <= capacity)
            return;
        capacity = rows;
        int most = GroupsOf(rows), blocks = step.BlocksOf(rows);
        blockMoments = new AlignedMemory<double>((long)Moments.Arrays * room * blocks * most);
        blockSums = new AlignedMemory<double>(2L * room * blocks * most);
        moments = new AlignedMemory<double>((long)Moments.Arrays * room * most);
        inverse = new AlignedMemory<double>((long)room * most);
        factor = new AlignedMemory<double>((long)room * most);
        offset = new AlignedMemory<double>((long)room * most);
        factor.Span.Fill(1);
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
        // Of a channel, all values but one may have been ignored.
        bool ignores = usesBatch && options.NonFinite == NonFinite.Ignore && !step.Failed;
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

    /// <summary>The rows of a block that are in a group.</summary>
    (int First, int Rows) Slice(RowBlock block, int group)
    {
        int end = block.First + block.Rows, first = block.First + (group - block.First % groups + groups) % groups;
        return (first, first < end ? (end - 1 - first) / groups + 1 : 0);
    }

    /// <summary>The rows of a group in a buffer, from the given first one.</summary>
    ChannelKernels.Rows Rows(RowBuffer buffer, int first) => new(buffer.Row(first), (nint)buffer.Stride * groups);

    float* Map(int group, int array) => maps.Start + ((nint)group * MapArrays + array) * room;

    Span<float> MapOf(int group, int array) => new(Map(group, array), room);

    Moments MomentsOf(int group) =>
        Moments.In(moments.Start + (nint)group * Moments.Arrays * room, room);

    Moments BlockMoments(int block, int group) =>
        Moments.In(blockMoments.Start + ((nint)block * groups + group) * Moments.Arrays * room, room);

    double* BlockSums(int block, int group) => blockSums.Start + ((nint)block * groups + group) * 2 * room;
}
