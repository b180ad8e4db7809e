using System.Numerics;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// A column while it is fitted: its layout, its state, and the rows of the batch that is being filled.
/// </summary>
abstract class ColumnFit
{
    /// <summary>
    /// With exact statistics and no ε, a deviation below this share of the mean is what rounding leaves of a constant.
    /// </summary>
    const double LeastDeviation = 1e-6;

    /// <summary>A variance below this share of ε comes out as a deviation below a thirtieth.</summary>
    const double SmallShare = 1.0 / 900;

    const int Named = 5;

    readonly BatchNormalizationEstimator.Layer layer;
    readonly DataViewSchema.Column column;
    BatchNormalizationState state;
    IStatisticsFit? fit;

    ColumnFit(
        BatchNormalizationEstimator.Layer layer, DataViewSchema.Column column, ChannelLayout layout,
        BatchNormalizationState state)
    {
        this.layer = layer;
        this.column = column;
        this.state = state;
        Layout = layout;
    }

    public DataViewSchema.Column Column => column;

    public bool Moves => layer.Options.MovesStatistics(training: true);

    public bool IsPopulation => layer.Options.EffectiveMovingStatistics == MovingStatistics.Population;

    public double InitialWeight => state.InitialWeight;

    public string Output => layer.Output;

    /// <summary>Where the channels lie in one row.</summary>
    public ChannelLayout Layout { get; }

    public BatchNormalizationOptions Options => layer.Options;

    public static ColumnFit Of(IHost host, DataViewSchema schema, BatchNormalizationEstimator.Layer layer)
    {
        DataViewSchema.Column column =
            schema.GetColumnOrNull(layer.Input) ?? throw host.ExceptSchemaMismatch("inputSchema", "input", layer.Input);
        if (layer.FittedTo is { IsNormalized: false } && column.IsNormalized())
        {
            throw RowLayout.Mismatch(
                host, column,
                "a column that is not normalized, as the layer was fitted to: the data that goes into the " +
                "transformer, not what comes out of it", $"{column.Type} that is marked as normalized");
        }
        int axis = RowLayout.Axis(host, column, layer.Options.Axis);
        layer = layer with { Options = layer.Options with { Axis = axis } };
        ChannelLayout layout = RowLayout.Of(host, column, axis, layer.FittedTo);
        BatchNormalizationState state =
            layer.Pretrained ?? BatchNorm.BatchNormalization.Initialize(layer.Options, layout.Channels);
        if (state.Channels != layout.Channels)
            throw RowLayout.Mismatch(host, column, $"{state.Channels} channels, as the pretrained state has");
        return column.Type.GetItemType() == NumberDataViewType.Single
            ? new Values<float>(layer, column, layout, state, (fit, shape, x) => fit.Add(shape, x))
            : new Values<double>(layer, column, layout, state, (fit, shape, x) => fit.Add(shape, x));
    }

    public void Start(IStatisticsEngine engine) => fit = engine.StartFit(layer.Options, state);

    public void Complete() => state = fit!.Complete();

    public void Stop() => fit?.Dispose();

    /// <summary>Says which channels are not what a reader of the output would take them for.</summary>
    public void TellWeakChannels(IChannel channel)
    {
        if (!Moves)
            return;
        double epsilon = layer.Options.EffectiveEpsilon;
        if (state.Population is { } population)
        {
            Tell(
                c => population.Count[c] == 0,
                layer.Pretrained is null
                    ? "have no value that counts: mean 0 and variance 1 leave later values as they are"
                    : "have no value that counts, and keep their earlier mean and variance");
            Tell(
                c => population.Count[c] == 1,
                "have a single value, which says nothing of a deviation: "
                + (epsilon == 0 ? "they become β" : "later values are divided by √ε"));
        }
        Tell(
            c => state.MovingVariance[c] < epsilon * SmallShare
                && Math.Sqrt(state.MovingVariance[c]) > LeastDeviation * Math.Abs(state.MovingMean[c]),
            $"are small beside ε ({epsilon}): they come out with a deviation far below 1. A smaller Epsilon mends it");

        void Tell(Func<int, bool> isWeak, string what)
        {
            int[] weak = [.. Enumerable.Range(0, state.Channels).Where(isWeak)];
            if (weak.Length > 0)
                channel.Warning(FormattableString.Invariant(
                    $"Column '{column.Name}': {weak.Length} of {state.Channels} channels {what}: {Names(weak)}."));
        }
    }

    string Names(int[] channels)
    {
        string[]? names = ChannelNames.Of(column, Layout);
        return string.Join(", ", channels.Take(Named).Select(c => names?[c] ?? $"{c}"))
            + (channels.Length > Named ? ", …" : "");
    }

    /// <summary>
    /// Gives channels that count as constant a variance of 0, which maps them to β, and says which they are. The exact
    /// statistics stay as they are.
    /// </summary>
    public void SettleConstants(IChannel channel)
    {
        if (!Moves || !IsPopulation || layer.Options.EffectiveEpsilon > 0)
            return;
        double[] variance = state.MovingVariance.ToArray();
        int[] constant = [.. Enumerable.Range(0, variance.Length).Where(c =>
            variance[c] > 0 && Math.Sqrt(variance[c]) < LeastDeviation * Math.Abs(state.MovingMean[c]))];
        if (constant.Length == 0)
            return;
        Array.ForEach(constant, c => variance[c] = 0);
        state = state.WithMovingVariance(variance);
        channel.Warning(
            $"Column '{column.Name}': {constant.Length} of {variance.Length} channels count as constant and become " +
            $"β, as their deviation is below a millionth of their mean: {Names(constant)}. An Epsilon above 0 " +
            "normalizes them.");
    }

    public BatchNormalizationColumn ToColumn() =>
        new(layer.Output, layer.Input, layer.Options, state, layer.FittedTo ?? FittedInput.Of(column));

    /// <summary>The channels of a column with dimensions; null for a scalar or a plain vector.</summary>
    public string? DescribeChannels() => column.Type is VectorDataViewType { Dimensions.Length: > 1 } type
        ? $"Column '{column.Name}' [{string.Join(", ", type.Dimensions)}]: {Layout.Channels} " +
            $"{(Layout.Channels == 1 ? "channel" : "channels")} along axis {layer.Options.Axis}."
        : null;

    /// <summary>
    /// Whether the rows may be summed where the cursor's getter puts them: plain vectors, neither so short that
    /// several are added at once nor so long that their sums leave the cache, and statistics that need no batches.
    /// </summary>
    public abstract bool SumsRows { get; }

    /// <summary>What sums a cursor's rows, where they may be.</summary>
    public abstract RowSummer OpenSummer(IHost host, DataViewRow row);

    /// <summary>What takes the sums of units of rows.</summary>
    public ColumnSums OpenSums(IHost host) => new(host, column.Name, Layout.Count, (PopulationFit)fit!);

    /// <summary>Buffers for rows that may be summed.</summary>
    public abstract HeldRows NewRows(int capacity);

    /// <summary>What reads a cursor's rows to such buffers.</summary>
    /// <param name="row">The cursor.</param>
    /// <param name="index">The place of the buffers in a block.</param>
    public abstract RowFiller OpenRows(DataViewRow row, int index);

    /// <summary>The rows of a batch, once there is room for one.</summary>
    public int BatchRows { get; private set; }

    /// <summary>
    /// Room for a batch that is filled and one row, and, where it <paramref name="overlaps"/>, as much again for the
    /// one that is added meanwhile.
    /// </summary>
    public abstract void Allocate(IHost host, int batchRows, bool overlaps);

    /// <summary>What copies a cursor's rows to those of the batch that is filled.</summary>
    public abstract RowReader Open(IHost host, DataViewRow row);

    /// <summary>
    /// Exchanges the batch that is filled for the other; one row behind its end, if there is one, becomes the first of
    /// the next batch.
    /// </summary>
    public abstract void Swap(int rows, bool keepsNext);

    /// <summary>Adds the batch that is not being filled, which is the same where nothing overlaps.</summary>
    /// <param name="host">Whose error it is where a value is not finite.</param>
    /// <param name="rows">Its number of rows.</param>
    /// <param name="positions">The position of each of them in the data.</param>
    public abstract void Add(IHost host, int rows, long[] positions);

    delegate void AddTo<T>(IStatisticsFit fit, ChannelLayout layout, ReadOnlySpan<T> x);

    sealed class Values<T>(
        BatchNormalizationEstimator.Layer layer, DataViewSchema.Column column, ChannelLayout layout,
        BatchNormalizationState state, AddTo<T> add)
        : ColumnFit(layer, column, layout, state)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        T[] filled = [], added = [];
        RowReader<T>? reader;

        public override bool SumsRows =>
            fit is PopulationFit { TakesShards: true }
            && column.Type is VectorDataViewType
            && Layout.Channels == Layout.Count
            && Layout.Count is >= RowShard.LeastColumns and <= RowShard.MostColumns;

        public override RowSummer OpenSummer(IHost host, DataViewRow row) => new RowSummer<T>(
            host, column, row.GetGetter<VBuffer<T>>(column), Layout.Count, OpenSums(host));

        public override HeldRows NewRows(int capacity) => new HeldRows<T>(column, Layout.Count, capacity);

        public override RowFiller OpenRows(DataViewRow row, int index) =>
            new RowFiller<T>(index, row.GetGetter<VBuffer<T>>(column));

        public override void Allocate(IHost host, int batchRows, bool overlaps)
        {
            BatchRows = batchRows;
            filled = Transforms.BatchRows.Allocate<T>(host, batchRows, 1, Layout.Count);
            added = overlaps ? new T[filled.Length] : filled;
        }

        public override RowReader Open(IHost host, DataViewRow row)
        {
            reader = RowReader.Of<T>(host, row, column, Layout.Count);
            reader.Target = filled;
            return reader;
        }

        public override void Swap(int rows, bool keepsNext)
        {
            (filled, added) = (added, filled);
            reader!.Target = filled;
            if (keepsNext)
                added.AsSpan(rows * Layout.Count, Layout.Count).CopyTo(filled);
        }

        public override void Add(IHost host, int rows, long[] positions)
        {
            ReadOnlySpan<T> x = added.AsSpan(0, rows * Layout.Count);
            try
            {
                add(fit!, Layout.WithRows(rows), x);
            }
            catch (InvalidDataException error)
            {
                throw host.Except(error, Message(error, x, positions));
            }
        }

        string Message(InvalidDataException error, ReadOnlySpan<T> x, long[] positions)
        {
            for (int row = 0; row * Layout.Count < x.Length; row++)
            {
                ReadOnlySpan<T> values = x.Slice(row * Layout.Count, Layout.Count);
                if (NonFiniteRow.Describe(column, values, positions[row]) is { } found)
                    return found;
            }
            return StatisticsFault.Describe(column.Name, Layout, error);
        }
    }
}
