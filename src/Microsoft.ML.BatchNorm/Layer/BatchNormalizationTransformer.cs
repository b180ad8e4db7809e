using System.Diagnostics.Contracts;
using Microsoft.ML;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;
using Options = Microsoft.ML.Transforms.BatchNormalizationEstimator.Options;

[assembly: LoadableClass(
    typeof(BatchNormalizationTransformer), null, typeof(SignatureLoadModel), "Batch normalization",
    BatchNormalizationTransformer.LoaderSignature)]

[assembly: LoadableClass(
    typeof(IRowMapper), typeof(BatchNormalizationTransformer), null, typeof(SignatureLoadRowMapper),
    "Batch normalization", BatchNormalizationTransformer.LoaderSignature)]

namespace Microsoft.ML.Transforms;

/// <summary>
/// Normalizes columns with the statistics that it holds: each channel <c>x</c> becomes
/// <c>γ (x − movingMean)/√(movingVariance + ε) + β</c>.
/// </summary>
/// <remarks>
/// <para>
/// A column is <see cref="float"/> or <see cref="double"/>, a scalar (one channel) or a vector of known size, sparse or
/// dense. Each slot of a plain vector is a channel. A vector with dimensions, <c>[C, H, W]</c> or <c>[H, W, C]</c>, is
/// normalized over its channel axis, which must have as many channels as the layer. A column with as many values as the
/// fitted one, but in other dimensions, is an error; a plain vector is read in the dimensions of the fitted column.
/// </para>
/// <para>
/// The output column has the input's type and dimensions, is dense, carries the input's slot names, and is marked as
/// normalized. A transformer is immutable and may be used by any number of threads.
/// </para>
/// <para>
/// Exported to ONNX it is the operator <c>BatchNormalization</c>, in the column's own type, with opset 9 to 12. Values
/// that are not finite pass through the graph unchanged if the layer ignores them or has a mask column. Otherwise a
/// graph throws no error: a NaN comes out as a NaN.
/// </para>
/// </remarks>
public sealed partial class BatchNormalizationTransformer : OneToOneTransformerBase
{
    internal const string LoaderSignature = "BatchNormTransform";

    static VersionInfo Version { get; } = ModelEntry.FirstVersion("BATCHNRM", LoaderSignature);

    readonly BatchNormalizationColumn[] columns;

    internal BatchNormalizationTransformer(IHostEnvironment env, params BatchNormalizationColumn[] columns)
        : this(env, new Options(), columns)
    {
    }

    /// <param name="env">The environment.</param>
    /// <param name="settings">How the columns were fitted, and are fitted on; the transformer's own object.</param>
    /// <param name="columns">The columns.</param>
    internal BatchNormalizationTransformer(
        IHostEnvironment env, Options settings, BatchNormalizationColumn[] columns)
        : base(
            Contracts.CheckRef(env, nameof(env)).Register(nameof(BatchNormalizationTransformer)),
            Array.ConvertAll(columns, column => (column.OutputColumnName, column.InputColumnName)))
    {
        Host.CheckNonEmpty(columns, nameof(columns));
        Settings = settings;
        this.columns = [.. columns];
        Columns = Array.AsReadOnly(this.columns);
    }

    /// <summary>The columns, in the order in which they were given.</summary>
    public IReadOnlyList<BatchNormalizationColumn> Columns { get; }

    /// <summary>How the columns were fitted, and are fitted on. Nobody changes it.</summary>
    internal Options Settings { get; }

    /// <summary>
    /// The share of the moving statistics, from 0 to 1, that is still the initializer's, in the column where it is
    /// greatest. Above 0.05 the output is visibly biased towards the initializer.
    /// </summary>
    public double InitialWeight => columns.Max(column => column.State.InitialWeight);

    /// <summary>The state of the layer behind an output column.</summary>
    /// <param name="outputColumnName">The name of one of the output columns.</param>
    /// <exception cref="ArgumentOutOfRangeException">This transformer makes no such column.</exception>
    public BatchNormalizationState GetState(string outputColumnName) => GetColumn(outputColumnName).State;

    /// <summary>
    /// The same transformer with layers frozen: fitting that goes on from it leaves γ, β and the moving statistics as
    /// they are, until they are unfrozen.
    /// </summary>
    /// <param name="outputColumnNames">The output columns to freeze; none for all.</param>
    /// <exception cref="ArgumentOutOfRangeException">This transformer makes no such column.</exception>
    [Pure]
    public BatchNormalizationTransformer Freeze(params string[] outputColumnNames) =>
        WithTrainable(false, outputColumnNames);

    /// <summary>
    /// The same transformer with layers no longer frozen: fitting that goes on from it moves their statistics.
    /// </summary>
    /// <param name="outputColumnNames">The output columns to unfreeze; none for all.</param>
    /// <exception cref="ArgumentOutOfRangeException">This transformer makes no such column.</exception>
    [Pure]
    public BatchNormalizationTransformer Unfreeze(params string[] outputColumnNames) =>
        WithTrainable(true, outputColumnNames);

    /// <summary>
    /// Goes on fitting: moves this transformer's statistics by the data. A frozen layer stays bit for bit, with a
    /// warning; if all layers are frozen, the data is not read.
    /// </summary>
    /// <remarks>
    /// The batch size, epochs, shuffle, seed, mask column and drift check are those of the estimator. They are stored
    /// with the model, so a loaded transformer goes on to the same bits. The number of threads and the engine belong to
    /// this process; a loaded transformer takes the defaults. For other settings, pass this transformer to
    /// <c>mlContext.Transforms.BatchNormalization(pretrained, options)</c>.
    /// </remarks>
    /// <inheritdoc cref="BatchNormalizationEstimator.Fit(IDataView)"/>
    /// <param name="input">
    /// The rows that go into this transformer. Its own output, in a column that replaces the input, is an error.
    /// </param>
    /// <param name="cancellationToken">Cancels within a batch.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A column is missing, has another type or size, or is marked as normalized although the one that the layer was
    /// fitted to was not.
    /// </exception>
    /// <exception cref="OperationCanceledException">
    /// The context or the token was canceled; nothing is left behind.
    /// </exception>
    [Pure]
    public BatchNormalizationTransformer FineTune(IDataView input, CancellationToken cancellationToken = default)
    {
        var estimator = new BatchNormalizationEstimator(Host, this, cancellationToken);
        BatchNormalizationEstimator.WarnOfFrozen(Host, columns);
        return estimator.Fit(input);
    }

    /// <summary>
    /// Replaces the statistics of the layers that are not frozen by the exact ones of the data, or mixes both. This is
    /// what to do if the same things are now measured in another way, such as by another camera or in another unit.
    /// </summary>
    /// <remarks>
    /// A channel without a value that counts keeps its statistics, with a warning. A mixture is that of the two
    /// distributions (<see cref="NetworkTrainer.MergeStatistics"/>). γ, β and the options stay: an average moves on from the new statistics when it is fine-tuned. If the weight is neither 0, 1 nor null,
    /// the number of training values is no longer known, and histograms are dropped.
    /// </remarks>
    /// <param name="input">The rows that go into this transformer.</param>
    /// <param name="weight">
    /// The share of the new rows: 1 replaces, 0.3 mixes three parts of new rows with seven of old ones, and null weighs
    /// both by their numbers of values. Default: 1.
    /// </param>
    /// <param name="cancellationToken">Cancels within a batch.</param>
    /// <exception cref="ArgumentException">
    /// All layers are frozen; or the weight is null, and a layer does not know how many values its statistics are of.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The weight is not from 0 to 1; or a column is missing, has another type or size, or is marked as normalized
    /// although the one that the layer was fitted to was not.
    /// </exception>
    /// <exception cref="OperationCanceledException">
    /// The context or the token was canceled; nothing is left behind.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// A value is not finite and the options do not ignore it, the data has no rows, or the GPU that the context asks
    /// for is not available.
    /// </exception>
    [Pure]
    public BatchNormalizationTransformer RecomputeStatistics(
        IDataView input, double? weight = 1, CancellationToken cancellationToken = default) =>
        Recompute(
            input, weight, Array.FindAll(columns, column => column.Options.MovesStatistics(training: true)),
            cancellationToken);

    /// <summary>
    /// Tells per channel how far new data is from the statistics, in one pass, with memory that does not grow with the
    /// rows. Nothing moves; to move the statistics, call <see cref="FineTune"/>.
    /// </summary>
    /// <remarks>
    /// Each column's p-values are corrected for the number of its channels, which are named by the slots. A row that
    /// the mask column hides does not count, if the data has that column. For averages and pretrained statistics the
    /// number of training values is not known, and the statistics are taken as exact
    /// (<see cref="DriftReport.HasTrainingCounts"/>). If the layer was fitted with
    /// <see cref="BatchNormalizationEstimator.Options.KeepHistograms"/>, the shapes of the distributions and the shares
    /// of missing values are compared too.
    /// </remarks>
    /// <param name="data">
    /// The rows that go into this transformer. Its own output, in a column that replaces the input, is an error.
    /// </param>
    /// <returns>A report per column, by the name of the output column.</returns>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A column is missing, has another type or size, or is marked as normalized although the one that the layer was
    /// fitted to was not.
    /// </exception>
    /// <exception cref="OperationCanceledException">The context was canceled.</exception>
    /// <exception cref="InvalidOperationException">
    /// A value is not finite and the options do not ignore it, or the data has no rows.
    /// </exception>
    public IReadOnlyDictionary<string, DriftReport> CompareStatistics(IDataView data)
    {
        Host.CheckValue(data, nameof(data));
        ColumnFit[] fits = Array.ConvertAll(columns, column => ColumnFit.Of(Host, data.Schema, Compared(column)));
        DataViewSchema.Column? mask = MaskIn(data.Schema);
        var engine = new DriftEngine(Settings.NumberOfThreads ?? Environment.ProcessorCount);
        Options settings = Settings.Copy();
        settings.Engine = engine;
        using (IChannel channel = Host.Start(nameof(CompareStatistics)))
            new StatisticsFitter(Host, channel, settings).Run(data, fits, mask);
        return columns.Zip(fits, engine.Statistics).ToDictionary(
            each => each.First.OutputColumnName,
            each => each.Third.Compare(
                RowLayout.ChannelNames(each.Second.Column, each.Second.Layout), each.First.InputColumnName));
    }

    /// <summary>Recomputes the statistics of some columns, frozen or not.</summary>
    internal BatchNormalizationTransformer Recompute(
        IDataView input, double? weight, BatchNormalizationColumn[] moving, CancellationToken cancellationToken)
    {
        Host.CheckValue(input, nameof(input));
        if (weight is not (null or >= 0 and <= 1))
            throw Host.ExceptUserArg(nameof(weight), $"The weight is {weight}; it must be from 0 to 1, or null.");
        if (moving.Length == 0)
            throw Host.ExceptParam(
                nameof(input), "No statistics may move: all layers are frozen. Unfreeze gives a transformer whose "
                + "statistics move.");
        if (weight is null && Array.Find(moving, column => column.State.GetPopulation() is null) is { } unknown)
            throw Host.ExceptParam(
                nameof(weight), $"The statistics of column '{unknown.OutputColumnName}' do not know of how many values "
                + "they are: give a weight.");
        Options settings = Settings.Copy();
        settings.CancellationToken = cancellationToken;
        BatchNormalizationTransformer exact = new BatchNormalizationEstimator(Host, settings, Array.ConvertAll(
            moving, column => Recomputed(column, goesOn: weight is null))).Fit(input);
        return With(new BatchNormalizationTransformer(Host, Settings, [.. moving.Zip(exact.columns, Mixed)]));

        BatchNormalizationColumn Mixed(BatchNormalizationColumn before, BatchNormalizationColumn now)
        {
            if (now.State.GetPopulation() is null)
                return before;
            BatchNormalizationState state = weight is null or 1
                ? now.State
                : before.State.Mixed(now.State, weight, before.Options.EffectiveVarianceConvention);
            return before.WithState(before.Options.Renorm is null ? state : state.WithRenormAtMovingStatistics());
        }
    }

    /// <summary>The mask column, if there is one and the data has it.</summary>
    internal DataViewSchema.Column? MaskIn(DataViewSchema schema) =>
        Settings.MaskColumnName is { } name && schema.GetColumnOrNull(name) is not null
            ? MaskColumn.Find(Host, schema, name)
            : null;

    internal BatchNormalizationColumn GetColumn(string outputColumnName) =>
        columns.FirstOrDefault(column => column.OutputColumnName == outputColumnName)
        ?? throw Host.ExceptSchemaMismatch(nameof(outputColumnName), "output", outputColumnName);

    /// <summary>The transformer of some of the columns alone.</summary>
    internal BatchNormalizationTransformer Only(IReadOnlyCollection<string> outputs) => outputs.Count == columns.Length
        ? this
        : new BatchNormalizationTransformer(
            Host, Settings, Array.FindAll(columns, column => outputs.Contains(column.OutputColumnName)));

    /// <summary>This transformer with the columns of another one in the place of its own of the same output.</summary>
    internal BatchNormalizationTransformer With(BatchNormalizationTransformer part) =>
        part.columns.Length == columns.Length
            ? part
            : new BatchNormalizationTransformer(Host, Settings, Array.ConvertAll(
                columns, column =>
                    Array.Find(part.columns, other => other.OutputColumnName == column.OutputColumnName) ?? column));

    /// <summary>The environment that the transformer belongs to.</summary>
    internal IHostEnvironment HostEnvironment => Host;

    /// <inheritdoc/>
    protected override void SaveModel(ModelSaveContext ctx)
    {
        Host.CheckValue(ctx, nameof(ctx));
        ctx.CheckAtModel();
        ctx.SetVersionInfo(Version);
        ModelEntry.WriteColumns(ctx, Settings, columns);
    }

    internal static BatchNormalizationTransformer Create(IHostEnvironment env, ModelLoadContext ctx)
    {
        Contracts.CheckValue(env, nameof(env));
        env.CheckValue(ctx, nameof(ctx));
        ctx.CheckAtModel(Version);
        (BatchNormalizationEstimator.Options settings, BatchNormalizationColumn[] columns) = ModelEntry.ReadColumns(env, ctx);
        return new BatchNormalizationTransformer(env, settings, columns);
    }

    static IRowMapper Create(IHostEnvironment env, ModelLoadContext ctx, DataViewSchema inputSchema) =>
        Create(env, ctx).MakeRowMapper(inputSchema);

    BatchNormalizationTransformer WithTrainable(bool trainable, string[] names)
    {
        Host.CheckValue(names, nameof(names));
        BatchNormalizationColumn[] named = names.Length == 0 ? columns : Array.ConvertAll(names, GetColumn);
        return new BatchNormalizationTransformer(Host, Settings, Array.ConvertAll(
            columns, column => named.Contains(column) ? column.WithTrainable(trainable) : column));
    }

    /// <summary>A column whose exact statistics are fitted, frozen or not.</summary>
    static ColumnSpec Recomputed(BatchNormalizationColumn column, bool goesOn)
    {
        BatchNormalizationOptions options = column.Options with
        {
            Trainable = true, UpdateStatistics = true, MovingStatistics = MovingStatistics.Population, Momentum = null,
            Renorm = null, VirtualBatchSize = null,
        };
        return new ColumnSpec(
            column.OutputColumnName, column.InputColumnName, options,
            goesOn ? BatchNormalizationEstimator.ForOptions(column.State, options) : column.State.AsInitializer(),
            column.Input);
    }

    /// <summary>A column that is read like one whose exact statistics are fitted, frozen or not.</summary>
    static ColumnSpec Compared(BatchNormalizationColumn column) => new(
        column.OutputColumnName, column.InputColumnName,
        BatchNormalizationEstimator.Filled(new() { Axis = column.Axis, NonFinite = column.Options.NonFinite }),
        column.State, column.Input);

    /// <summary>
    /// Takes the place of an engine in a comparison: it sums what the comparison needs in the same pass over the data,
    /// and moves no state.
    /// </summary>
    sealed class DriftEngine(int threads) : IStatisticsEngine
    {
        readonly List<DriftStatistics> statistics = [];

        /// <summary>The new data's statistics, in the order in which the columns were started.</summary>
        public IReadOnlyList<DriftStatistics> Statistics => statistics;

        public IStatisticsFit StartFit(BatchNormalizationOptions options, BatchNormalizationState state)
        {
            var fresh = new DriftStatistics(state);
            statistics.Add(fresh);
            return new Fit(fresh, options.NonFinite, state, threads);
        }

        sealed class Fit(DriftStatistics statistics, NonFinite nonFinite, BatchNormalizationState state, int threads)
            : IStatisticsFit
        {
            public void Add(ChannelLayout layout, ReadOnlySpan<float> x, ReadOnlySpan<bool> mask = default) =>
                statistics.Add(layout, x, mask, nonFinite, threads);

            public void Add(ChannelLayout layout, ReadOnlySpan<double> x, ReadOnlySpan<bool> mask = default) =>
                statistics.Add(layout, x, mask, nonFinite, threads);

            public BatchNormalizationState Complete() => state;

            public void Dispose()
            {
            }
        }
    }
}
