using System.Diagnostics.Contracts;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Fits batch normalization to columns: reads the data in training mode, and gives a
/// <see cref="BatchNormalizationTransformer"/> that normalizes with the statistics of that data.
/// </summary>
/// <remarks>
/// <para>
/// A column is <see cref="float"/> or <see cref="double"/>, a scalar (one channel) or a vector of known size, sparse or
/// dense. Each slot of a plain vector is a channel; a vector with dimensions is normalized over its channel axis. The
/// output column has the input's type and dimensions, its slot names, and is marked as normalized.
/// </para>
/// <para>
/// If you give no axis, it is the one that ML.NET's own components use: the first of <c>[C, H, W]</c>, as
/// <c>ExtractPixels</c> gives it, and C of <c>[1, C, H, W]</c>, as <c>DnnFeaturizeImage</c> gives it. In <c>[1, n]</c>
/// each slot is a channel, and of two other dimensions the first one holds the channels. If there are three dimensions,
/// and the last is 1, 3 or 4 but the first is not, you must give the axis. A line in the context's log says how many
/// channels a column with dimensions has.
/// </para>
/// <para>
/// By default the statistics are those of all rows, exactly, in one pass and memory that does not grow with the rows.
/// </para>
/// </remarks>
/// <seealso cref="BatchNormalizationCatalog"/>
public sealed partial class BatchNormalizationEstimator : IEstimator<BatchNormalizationTransformer>
{
    readonly IHost host;
    readonly Options settings;
    readonly ColumnSpec[] columns;

    internal BatchNormalizationEstimator(IHostEnvironment env, Options options)
        : this(env, Copied(env, options), SpecsOf(env, options))
    {
    }

    /// <summary>Goes on from the columns of a transformer, as it was fitted.</summary>
    internal BatchNormalizationEstimator(
        IHostEnvironment env, BatchNormalizationTransformer pretrained, CancellationToken cancellationToken)
        : this(env, pretrained.Settings.Copy(), [.. pretrained.Columns.Select(
            column => new ColumnSpec(
                column.OutputColumnName, column.InputColumnName, column.Options, column.State, column.Input))]) =>
        settings.CancellationToken = cancellationToken;

    /// <summary>Goes on from the states of a transformer, as the options say.</summary>
    internal BatchNormalizationEstimator(
        IHostEnvironment env, BatchNormalizationTransformer pretrained, Options options)
        : this(
            env, Copied(env, options),
            Continued(env, SpecsOf(env, options), pretrained, nameof(pretrained)))
    {
    }

    /// <param name="env">The environment.</param>
    /// <param name="settings">How columns are fitted; the estimator's own object.</param>
    /// <param name="columns">The columns, which the settings do not name.</param>
    internal BatchNormalizationEstimator(IHostEnvironment env, Options settings, ColumnSpec[] columns)
    {
        Contracts.CheckValue(env, nameof(env));
        host = env.Register(nameof(BatchNormalizationEstimator));
        host.CheckNonEmpty(columns, nameof(Options.Columns));
        host.CheckUserArg(
            columns.DistinctBy(column => column.Output).Count() == columns.Length, nameof(Options.Columns),
            "Columns must have outputs of different names.");
        settings.Check(host);
        foreach (ColumnSpec column in columns)
        {
            host.CheckUserArg(
                column.Options.Axis != 0, nameof(Options.Axis),
                "Axis 0 is that of the batch; give an axis of a row, from 1 on: channels first is 1.");
            host.CheckUserArg(
                column.Options.TrackMovingStatistics, nameof(Options.Layer),
                "Layer must not have TrackMovingStatistics = false: a transformer normalizes with moving statistics.");
        }
        this.settings = settings;
        this.columns = columns;
    }

    /// <summary>Reads the data in training mode, once for exact statistics or once an epoch for an average.</summary>
    /// <remarks>
    /// If nothing moves because the layers are not trainable, the data is not read, and the states stay bit for bit.
    /// </remarks>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A column is missing or has a type that cannot be normalized, its dimensions leave the channel axis open, or the
    /// batches of an average have a single value per channel.
    /// </exception>
    /// <exception cref="OperationCanceledException">
    /// The context or the options' token was canceled; nothing is left behind.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// A value is not finite and the options do not ignore it, the data has no rows (or a single row for an average), or
    /// the GPU that the context asks for is not available.
    /// </exception>
    public BatchNormalizationTransformer Fit(IDataView input) =>
        Fit(input, Array.ConvertAll(columns, column => column with { Options = Filled(column.Options) }));

    /// <summary>
    /// Goes on from a fitted transformer: from its states, by the name of the output column, with these options. What
    /// they leave unset is as it was there. A column that is frozen there stays frozen until
    /// <see cref="BatchNormalizationTransformer.Unfreeze"/> names it.
    /// </summary>
    /// <remarks>
    /// A <see cref="MovingStatistics.Population"/> can only go on from another one. An average, or statistics from
    /// elsewhere, are replaced by the statistics of this data, with a warning. γ and β stay.
    /// </remarks>
    /// <exception cref="ArgumentException">
    /// The transformer lacks one of the output columns, or its state does not fit the options.
    /// </exception>
    /// <inheritdoc cref="Fit(IDataView)"/>
    [Pure]
    public BatchNormalizationTransformer Fit(IDataView input, BatchNormalizationTransformer previous)
    {
        host.CheckValue(previous, nameof(previous));
        return Fit(input, Continued(host, columns, previous, nameof(previous)));
    }

    /// <summary>The schema that the transformer delivers.</summary>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A column is missing, or of a type that cannot be normalized.
    /// </exception>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        host.CheckValue(inputSchema, nameof(inputSchema));
        Dictionary<string, SchemaShape.Column> shapes = inputSchema.ToDictionary(shape => shape.Name);
        foreach (ColumnSpec column in columns)
        {
            if (!inputSchema.TryFindColumn(column.Input, out SchemaShape.Column shape))
                throw host.ExceptSchemaMismatch(nameof(inputSchema), "input", column.Input);
            if (shape.Kind == SchemaShape.Column.VectorKind.VariableVector || shape.IsKey
                || shape.ItemType != NumberDataViewType.Single && shape.ItemType != NumberDataViewType.Double)
            {
                throw host.ExceptSchemaMismatch(
                    nameof(inputSchema), "input", column.Input, RowLayout.Expected, shape.GetTypeString());
            }
            shapes[column.Output] = new SchemaShape.Column(
                column.Output, shape.Kind, shape.ItemType, isKey: false, NormalizedAnnotations.Of(shape));
        }
        if (settings.NeededMask(columns.Select(column => column.Options)) is { } mask)
            MaskColumn.Check(host, inputSchema, mask);
        return new SchemaShape(shapes.Values);
    }

    BatchNormalizationTransformer Fit(IDataView input, ColumnSpec[] specs)
    {
        host.CheckValue(input, nameof(input));
        CheckHistograms(specs);
        ColumnFit[] fits = Array.ConvertAll(specs, spec => ColumnFit.Of(host, input.Schema, spec));
        DataViewSchema.Column? mask = settings.FindMask(host, input.Schema, specs.Select(spec => spec.Options));
        using IChannel channel = host.Start("Fit");
        foreach (string message in fits.Select(fit => fit.DescribeChannels()).OfType<string>())
            channel.Info(message);
        foreach (ColumnSpec spec in specs.Where(ReplacesPretrained))
        {
            channel.Warning(
                $"Column '{spec.Output}': exact statistics (MovingStatistics.Population) do not go on from an " +
                "average, or from statistics without their counts. Those of the new data replace the pretrained ones.");
        }
        foreach (ColumnSpec spec in specs.Where(
            spec => spec.Pretrained is null && !spec.Options.MovesStatistics(training: true)))
        {
            channel.Warning(
                $"Column '{spec.Output}' is not trainable and has no pretrained state: it is normalized with mean 0 " +
                "and variance 1, which changes nothing but for ε, γ and β.");
        }
        var fitter = new StatisticsFitter(host, channel, settings);
        fitter.Run(input, fits, mask);
        fitter.Count(input, fits, mask);
        foreach (ColumnFit fit in fits)
        {
            fit.SettleConstants(channel);
            fit.WarnOfWeakChannels(channel);
        }
        return new BatchNormalizationTransformer(
            host, settings.WithoutColumns(), Array.ConvertAll(fits, fit => fit.ToColumn()));
    }

    /// <summary>Throws ML.NET's argument error if histograms are asked for that cannot be kept.</summary>
    void CheckHistograms(ColumnSpec[] specs)
    {
        if (!settings.KeepHistograms)
            return;
        foreach (ColumnSpec spec in specs.Where(spec => spec.Options.MovesStatistics(training: true)))
        {
            host.CheckUserArg(
                spec.Options.EffectiveMovingStatistics == MovingStatistics.Population, nameof(Options.KeepHistograms),
                $"KeepHistograms needs exact statistics (MovingStatistics.Population), and column '{spec.Output}' has " +
                "an average, which forgets earlier rows.");
            host.CheckUserArg(
                spec.Pretrained is null or { Population: null } or { Histograms: not null },
                nameof(Options.KeepHistograms),
                $"KeepHistograms needs histograms of all rows, and the statistics that column '{spec.Output}' goes on " +
                "from have none. Fit anew with KeepHistograms, or go on without it.");
        }
    }

    /// <summary>Whether exact statistics begin anew although the state has other statistics.</summary>
    static bool ReplacesPretrained(ColumnSpec spec) =>
        spec.Options.EffectiveMovingStatistics == MovingStatistics.Population
        && spec.Options.MovesStatistics(training: true)
        && spec.Pretrained is { InitialWeight: < 1 } state
        && state.GetPopulation() is null;

    static Options Copied(IHostEnvironment env, Options options)
    {
        Contracts.CheckValue(env, nameof(env));
        env.CheckValue(options, nameof(options));
        env.CheckUserArg(
            options.MaskColumnName is not "", nameof(options.MaskColumnName),
            "MaskColumnName must be the name of a column or null, not empty.");
        return options.Copy();
    }

    static ColumnSpec[] SpecsOf(IHostEnvironment env, Options options)
    {
        env.CheckValue(options.Columns, nameof(options.Columns));
        env.CheckUserArg(
            Array.TrueForAll(options.Columns, pair => pair is not null), nameof(options.Columns),
            "Columns must not hold null.");
        env.CheckUserArg(
            Array.TrueForAll(options.Columns, pair => pair.InputColumnName is not ""), nameof(options.Columns),
            "Columns must not have an input without a name.");
        env.CheckValue(options.Layer, nameof(options.Layer));
        BatchNormalizationOptions layer = options.Axis is { } axis
            ? options.Layer with { Axis = axis }
            : options.Layer;
        try
        {
            layer.Validate();
        }
        catch (ArgumentException error)
        {
            throw env.ExceptUserArg(nameof(options.Layer), Check.Text(error));
        }
        return Array.ConvertAll(
            options.Columns, pair => new ColumnSpec(pair.OutputColumnName, pair.InputColumnName, layer));
    }

    /// <summary>
    /// The columns with the states of a transformer. A column that is frozen in either stays frozen, with a warning if
    /// it is frozen in the transformer only.
    /// </summary>
    static ColumnSpec[] Continued(
        IHostEnvironment host, ColumnSpec[] specs, BatchNormalizationTransformer previous, string parameter)
    {
        ColumnSpec[] continued = Array.ConvertAll(specs, spec =>
        {
            BatchNormalizationColumn column = previous.GetColumn(spec.Output);
            BatchNormalizationOptions options = Filled(spec.Options, column.Options);
            CheckState(host, options, column.State, parameter);
            bool isFittedAxis = IsAxis(spec.Options.Axis, column);
            options = options with
            {
                Axis = isFittedAxis ? column.Axis : options.Axis,
                Trainable = options.Trainable && column.Options.Trainable,
                UpdateStatistics = options.UpdateStatistics && column.Options.UpdateStatistics,
            };
            return spec with
            {
                Pretrained = ForOptions(column.State, options),
                FittedTo = isFittedAxis ? column.Input : null,
                Options = options,
            };
        });
        WarnOfFrozen(host, specs.Where(spec => spec.Options.MovesStatistics(training: true))
            .Select(spec => previous.GetColumn(spec.Output)));
        return continued;
    }

    /// <summary>Warns about columns whose statistics were meant to move, but are frozen.</summary>
    internal static void WarnOfFrozen(IChannelProvider provider, IEnumerable<BatchNormalizationColumn> columns)
    {
        using IChannel channel = provider.Start("Fine-tuning");
        foreach (BatchNormalizationColumn column in columns)
        {
            if (column.Options.MovesStatistics(training: true))
                continue;
            channel.Warning(column.Options.Trainable
                ? $"Column '{column.OutputColumnName}' has {nameof(BatchNormalizationOptions.UpdateStatistics)} off: " +
                    "its statistics stay as they are."
                : $"Column '{column.OutputColumnName}' is frozen: its statistics stay as they are. " +
                    $"Unfreeze(\"{column.OutputColumnName}\") gives a transformer whose statistics move.");
        }
    }

    /// <summary>Whether the axis, if one was given, is that of a fitted column.</summary>
    static bool IsAxis(int? given, BatchNormalizationColumn column) =>
        given is null || given == column.Axis || given + column.Input?.Shape.Rank + 1 == column.Axis;

    /// <summary>
    /// The state to go on from. If the options have an ε, or an average goes on from it, the variances of channels that
    /// counted as constant are restored.
    /// </summary>
    internal static BatchNormalizationState ForOptions(
        BatchNormalizationState state, BatchNormalizationOptions options) =>
        options.EffectiveEpsilon == 0 && (options.EffectiveMovingStatistics == MovingStatistics.Population
            || !options.MovesStatistics(training: true))
            ? state
            : state.WithoutConstants(options.EffectiveVarianceConvention);

    /// <summary>Throws ML.NET's argument error if a state does not fit the options.</summary>
    internal static void CheckState(
        IExceptionContext host, BatchNormalizationOptions options, BatchNormalizationState state, string parameter)
    {
        try
        {
            BatchNorm.BatchNormalization.CheckState(options, state);
        }
        catch (ArgumentException error)
        {
            throw host.ExceptParam(parameter, Check.Text(error));
        }
    }
}
