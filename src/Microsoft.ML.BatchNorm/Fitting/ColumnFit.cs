using System.Numerics;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>A column to be fitted.</summary>
/// <param name="Output">The name of the normalized column.</param>
/// <param name="Input">The name of the column that is read.</param>
/// <param name="Options">The layer's options.</param>
/// <param name="Pretrained">The state to go on from, or null to begin anew.</param>
/// <param name="FittedTo">The column that the state was fitted to, or null if it is not known.</param>
sealed record ColumnSpec(
    string Output, string Input, BatchNormalizationOptions Options, BatchNormalizationState? Pretrained = null,
    FittedInput? FittedTo = null);

/// <summary>A column while it is fitted: its layout, its state, and the batch that is being filled.</summary>
abstract class ColumnFit
{
    /// <summary>
    /// With exact statistics and no ε, a deviation below this share of the mean is what rounding leaves of a constant.
    /// </summary>
    const double LeastDeviation = 1e-6;

    /// <summary>A channel whose variance is below this share of ε gets a deviation below a thirtieth.</summary>
    const double SmallShare = 1.0 / 900;

    /// <summary>The most channels that a warning names.</summary>
    const int MostNamed = 5;

    readonly ColumnSpec spec;
    readonly DataViewSchema.Column column;
    BatchNormalizationState state;
    IStatisticsFit? fit;

    ColumnFit(ColumnSpec spec, DataViewSchema.Column column, ChannelLayout layout, BatchNormalizationState state)
    {
        this.spec = spec;
        this.column = column;
        this.state = state;
        Layout = layout;
    }

    public DataViewSchema.Column Column => column;

    public string Output => spec.Output;

    public BatchNormalizationOptions Options => spec.Options;

    /// <summary>Where the channels lie in one row.</summary>
    public ChannelLayout Layout { get; }

    public bool Moves => spec.Options.MovesStatistics(training: true);

    public bool IsPopulation => spec.Options.EffectiveMovingStatistics == MovingStatistics.Population;

    public double InitialWeight => state.InitialWeight;

    /// <summary>The number of rows in a batch, once there is room for one.</summary>
    public int BatchRows { get; private set; }

    /// <summary>
    /// Whether the rows may be summed where the cursor's getter puts them. Their statistics must be exact ones, which
    /// need no batches, and the sums cannot leave values out. The rows must be plain vectors: long enough that a row is
    /// worth a call, and short enough that the sums stay in the cache.
    /// </summary>
    public bool SumsRows =>
        IsPopulation
        && fit!.TakesStatistics
        && spec.Options.NonFinite == NonFinite.Throw
        && column.Type is VectorDataViewType
        && Layout.Channels == Layout.Count
        && Layout.Count is >= RowShard.LeastColumns and <= RowShard.MostColumns;

    /// <summary>
    /// Whether the fit counts its values: if it was asked to, or if it goes on from histograms. A column without any
    /// value has none.
    /// </summary>
    public bool KeepsHistograms(bool asked) =>
        Moves && IsPopulation && state.Population is not null && (asked || spec.Pretrained?.Histograms is not null);

    /// <summary>The histograms to go on from, or empty ones on the grid of the fitted statistics.</summary>
    public ChannelHistograms BeginHistograms() =>
        spec.Pretrained?.GetHistograms() ?? new ChannelHistograms(state.GetPopulation()!);

    public static ColumnFit Of(IHost host, DataViewSchema schema, ColumnSpec spec)
    {
        DataViewSchema.Column column =
            schema.GetColumnOrNull(spec.Input) ?? throw host.ExceptSchemaMismatch("inputSchema", "input", spec.Input);
        if (spec.FittedTo is { IsNormalized: false } && column.IsNormalized())
        {
            throw RowLayout.Mismatch(
                host, column,
                "a column that is not normalized, as the layer was fitted to: the data that goes into the " +
                "transformer, not what comes out of it", $"{column.Type} that is marked as normalized");
        }
        int axis = RowLayout.Axis(host, column, spec.Options.Axis);
        spec = spec with { Options = spec.Options with { Axis = axis } };
        ChannelLayout layout = RowLayout.Of(host, column, axis, spec.FittedTo);
        BatchNormalizationState state =
            spec.Pretrained ?? BatchNorm.BatchNormalization.Initialize(spec.Options, layout.Channels);
        if (state.Channels != layout.Channels)
            throw RowLayout.Mismatch(host, column, $"{state.Channels} channels, as the pretrained state has");
        return column.Type.GetItemType() == NumberDataViewType.Single
            ? new Values<float>(spec, column, layout, state, (fit, shape, x) => fit.Add(shape, x))
            : new Values<double>(spec, column, layout, state, (fit, shape, x) => fit.Add(shape, x));
    }

    /// <summary>Writes what several ranks must have in common.</summary>
    public void Write(BinaryWriter writer)
    {
        writer.Write(spec.Output);
        RankColumns.WriteNames(writer, column);
        writer.Flush();
        state.Save(writer.BaseStream, spec.Options);
    }

    public void Start(IStatisticsEngine engine) => fit = engine.StartFit(spec.Options, state);

    /// <summary>Takes the fitted state.</summary>
    public void Complete(IExceptionContext host)
    {
        try
        {
            state = fit!.Complete();
            // It is known that the rows have no value; without counts, the initializer would pass for exact.
            if (IsPopulation && spec.Pretrained is null && state.Population is null)
                state = state.WithEmptyPopulation();
        }
        catch (InvalidDataException error)
        {
            throw host.Except(error, RowFaults.Statistics(column.Name, Layout, error));
        }
    }

    public void Stop() => fit?.Dispose();

    public BatchNormalizationColumn ToColumn() =>
        new(spec.Output, spec.Input, spec.Options, state, spec.FittedTo ?? FittedInput.Of(column));

    /// <summary>The channels of a column with dimensions; null for a scalar or a plain vector.</summary>
    public string? DescribeChannels() => column.Type is VectorDataViewType { Dimensions.Length: > 1 } type
        ? $"Column '{column.Name}' [{string.Join(", ", type.Dimensions)}]: {Layout.Channels} " +
            $"{(Layout.Channels == 1 ? "channel" : "channels")} along axis {spec.Options.Axis}."
        : null;

    /// <summary>
    /// Sets the variance of channels that count as constant to 0, so that they become β, and warns about them. The
    /// exact statistics stay as they are.
    /// </summary>
    public void SettleConstants(IChannel channel)
    {
        if (!Moves || !IsPopulation || spec.Options.EffectiveEpsilon > 0)
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

    /// <summary>Warns about channels whose output will not have mean 0 and deviation 1.</summary>
    public void WarnOfWeakChannels(IChannel channel)
    {
        if (!Moves)
            return;
        double epsilon = spec.Options.EffectiveEpsilon;
        if (state.Population is { } population)
        {
            Warn(
                c => population.Count[c] == 0,
                spec.Pretrained is null
                    ? "have no value that counts: mean 0 and variance 1 leave later values as they are"
                    : "have no value that counts, and keep their earlier mean and variance");
            Warn(
                c => population.Count[c] == 1,
                "have a single value, which says nothing of a deviation: "
                + (epsilon == 0 ? "they become β" : "later values are divided by √ε"));
        }
        Warn(
            c => state.MovingVariance[c] < epsilon * SmallShare
                && Math.Sqrt(state.MovingVariance[c]) > LeastDeviation * Math.Abs(state.MovingMean[c]),
            $"are small beside ε ({epsilon}): they come out with a deviation far below 1. A smaller Epsilon mends it");

        void Warn(Func<int, bool> isWeak, string what)
        {
            int[] weak = [.. Enumerable.Range(0, state.Channels).Where(isWeak)];
            if (weak.Length > 0)
                channel.Warning(FormattableString.Invariant(
                    $"Column '{column.Name}': {weak.Length} of {state.Channels} channels {what}: {Names(weak)}."));
        }
    }

    string Names(int[] channels)
    {
        string[]? names = RowLayout.ChannelNames(column, Layout);
        return string.Join(", ", channels.Take(MostNamed).Select(c => names?[c] ?? $"{c}"))
            + (channels.Length > MostNamed ? ", …" : "");
    }

    /// <summary>For <see cref="RowScan"/>: sums a cursor's rows.</summary>
    public abstract RowSummer OpenSummer(IHost host, DataViewRow row);

    /// <summary>Takes the sums of units of rows.</summary>
    public ColumnSums OpenSums(IHost host) => new(host, column.Name, Layout.Count, fit!);

    /// <summary>For <see cref="CursorSetScan"/>: buffers for rows.</summary>
    public abstract RowWindow NewWindow(int capacity);

    /// <summary>The cursor's getter that fills a row of such a window.</summary>
    public abstract Delegate Getter(DataViewRow row);

    /// <summary>
    /// For <see cref="BatchScan"/>: makes room for a batch and one row, and for as much again if a batch is added while
    /// the next one is filled.
    /// </summary>
    public abstract void Allocate(IHost host, int batchRows, bool overlaps);

    /// <summary>Copies a cursor's rows into the batch that is being filled.</summary>
    public abstract RowReader Open(IHost host, DataViewRow row);

    /// <summary>
    /// Exchanges the batch that is filled for the other one. If a row after its end has been read, that row becomes the
    /// first of the next batch.
    /// </summary>
    public abstract void Swap(int rows, bool keepsNext);

    /// <summary>Adds the batch that is not being filled. Without overlap there is only one batch.</summary>
    /// <param name="host">Reports a value that is not finite.</param>
    /// <param name="rows">The number of rows in the batch.</param>
    /// <param name="positions">The position of each row in the data.</param>
    public abstract void Add(IHost host, int rows, long[] positions);

    delegate void AddTo<T>(IStatisticsFit fit, ChannelLayout layout, ReadOnlySpan<T> x);

    sealed class Values<T>(
        ColumnSpec spec, DataViewSchema.Column column, ChannelLayout layout, BatchNormalizationState state, AddTo<T> add)
        : ColumnFit(spec, column, layout, state)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        T[] filled = [], added = [];
        RowReader<T>? reader;

        public override RowSummer OpenSummer(IHost host, DataViewRow row) => new RowSummer<T>(
            host, column, row.GetGetter<VBuffer<T>>(column), Layout.Count, OpenSums(host));

        public override RowWindow NewWindow(int capacity) => new RowWindow<T>(column, Layout.Count, capacity);

        public override Delegate Getter(DataViewRow row) => row.GetGetter<VBuffer<T>>(column);

        public override void Allocate(IHost host, int batchRows, bool overlaps)
        {
            BatchRows = batchRows;
            filled = RowReader.Allocate<T>(host, batchRows, 1, Layout.Count);
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
                if (RowFaults.NonFinite(column, values, positions[row]) is { } found)
                    return found;
            }
            return RowFaults.Statistics(column.Name, Layout, error);
        }
    }
}
