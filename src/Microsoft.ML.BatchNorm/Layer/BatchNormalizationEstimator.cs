using System.Diagnostics.Contracts;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Fits batch normalization to columns: reads the data in training mode, and gives a
/// <see cref="BatchNormalizationTransformer"/> that normalizes with the statistics it found.
/// </summary>
/// <remarks>
/// <para>
/// A column is <see cref="float"/> or <see cref="double"/>, a scalar (one channel) or a vector of known size, sparse or
/// dense. Each slot of a plain vector is a channel; a vector with dimensions is normalized over its channel axis. The
/// output column has the input's type and dimensions, its slot names, and is marked as normalized.
/// </para>
/// <para>
/// Where no axis is given, it is the one that ML.NET's own components write: the first of <c>[C, H, W]</c>, as
/// <c>ExtractPixels</c> gives it, and C of <c>[1, C, H, W]</c>, as <c>DnnFeaturizeImage</c> does. Of <c>[1, n]</c> each
/// slot is a channel, and of two other dimensions the first has the channels. Of three dimensions, where the last is 1,
/// 3 or 4 and the first is not, the axis must be given. A line in the context's log says how many channels a column
/// with dimensions has.
/// </para>
/// <para>
/// By default the statistics are those of all rows, exactly, in one pass and memory that does not grow with the rows.
/// </para>
/// </remarks>
/// <seealso cref="BatchNormalizationCatalog"/>
public sealed partial class BatchNormalizationEstimator : IEstimator<BatchNormalizationTransformer>
{
    readonly IHost host;
    readonly FitSettings settings;
    readonly Layer[] layers;

    internal BatchNormalizationEstimator(IHostEnvironment env, Options options)
        : this(env, FitSettings.Of(env, options), LayersOf(env, options))
    {
    }

    /// <summary>Goes on from the columns of a transformer, as it was fitted.</summary>
    internal BatchNormalizationEstimator(
        IHostEnvironment env, BatchNormalizationTransformer pretrained, CancellationToken cancellationToken)
        : this(env, pretrained.Settings with { CancellationToken = cancellationToken }, [.. pretrained.Columns.Select(
            column => new Layer(
                column.OutputColumnName, column.InputColumnName, column.Options, column.State, column.Input))])
    {
    }

    /// <summary>Goes on from the states of a transformer, as the options say.</summary>
    internal BatchNormalizationEstimator(
        IHostEnvironment env, BatchNormalizationTransformer pretrained, Options options)
        : this(
            env, FitSettings.Of(env, options),
            Continued(env, LayersOf(env, options), pretrained, nameof(pretrained)))
    {
    }

    internal BatchNormalizationEstimator(IHostEnvironment env, FitSettings settings, params Layer[] layers)
    {
        Contracts.CheckValue(env, nameof(env));
        host = env.Register(nameof(BatchNormalizationEstimator));
        host.CheckNonEmpty(layers, nameof(Options.Columns));
        host.CheckUserArg(
            layers.DistinctBy(layer => layer.Output).Count() == layers.Length, nameof(Options.Columns),
            "Columns must have outputs of different names.");
        settings.Check(host);
        foreach (Layer layer in layers)
        {
            host.CheckUserArg(
                layer.Options.Axis != 0, nameof(Options.Axis),
                "Axis 0 is that of the batch; give an axis of a row, from 1 on: channels first is 1.");
            host.CheckUserArg(
                layer.Options.TrackMovingStatistics, nameof(Options.Layer),
                "Layer must not have TrackMovingStatistics = false: a transformer normalizes with moving statistics.");
        }
        this.settings = settings;
        this.layers = layers;
    }

    /// <summary>
    /// One column: where it comes from, its options, and the state to go on from, if any, with what it was fitted to.
    /// </summary>
    internal sealed record Layer(
        string Output, string Input, BatchNormalizationOptions Options, BatchNormalizationState? Pretrained = null,
        FittedInput? FittedTo = null);

    /// <summary>Reads the data in training mode, once for exact statistics or once an epoch for an average.</summary>
    /// <remarks>
    /// Where nothing moves, because the layers are not trainable, the data is not read, and the states stay bit for
    /// bit.
    /// </remarks>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A column is missing, or of a type that cannot be normalized; its dimensions leave the channel axis open; or the
    /// batches of an average have a single value per channel.
    /// </exception>
    /// <exception cref="OperationCanceledException">
    /// The context or the options' token was canceled; nothing is left behind.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// A value is not finite and the options do not ignore it, the data has no rows, or only one for an average, or a
    /// GPU was asked for that cannot be had.
    /// </exception>
    public BatchNormalizationTransformer Fit(IDataView input) =>
        Fit(input, Array.ConvertAll(layers, layer => layer with { Options = Filled(layer.Options) }));

    /// <summary>
    /// Goes on from a fitted transformer: its states, by the name of the output column, with these options. What they
    /// leave unsaid is as it was there. A column that is frozen there stays frozen, until
    /// <see cref="BatchNormalizationTransformer.Unfreeze"/> names it.
    /// </summary>
    /// <remarks>
    /// A <see cref="MovingStatistics.Population"/> goes on from another one alone: in place of
    /// an average, or of statistics from elsewhere, come those of this data, with a warning. γ and β stay.
    /// </remarks>
    /// <exception cref="ArgumentException">
    /// The transformer lacks one of the output columns, or its state does not fit the options.
    /// </exception>
    /// <inheritdoc cref="Fit(IDataView)"/>
    [Pure]
    public BatchNormalizationTransformer Fit(IDataView input, BatchNormalizationTransformer previous)
    {
        host.CheckValue(previous, nameof(previous));
        return Fit(input, Continued(host, layers, previous, nameof(previous)));
    }

    /// <summary>The schema that the transformer delivers.</summary>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A column is missing, or of a type that cannot be normalized.
    /// </exception>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        host.CheckValue(inputSchema, nameof(inputSchema));
        Dictionary<string, SchemaShape.Column> columns = inputSchema.ToDictionary(column => column.Name);
        foreach (Layer layer in layers)
        {
            if (!inputSchema.TryFindColumn(layer.Input, out SchemaShape.Column column))
                throw host.ExceptSchemaMismatch(nameof(inputSchema), "input", layer.Input);
            if (column.Kind == SchemaShape.Column.VectorKind.VariableVector || column.IsKey
                || column.ItemType != NumberDataViewType.Single && column.ItemType != NumberDataViewType.Double)
            {
                throw host.ExceptSchemaMismatch(
                    nameof(inputSchema), "input", layer.Input, RowLayout.Expected, column.GetTypeString());
            }
            columns[layer.Output] = new SchemaShape.Column(
                layer.Output, column.Kind, column.ItemType, isKey: false, NormalizedAnnotations.Of(column));
        }
        if (settings.NeededMask(layers.Select(layer => layer.Options)) is { } mask)
            MaskColumn.Check(host, inputSchema, mask);
        return new SchemaShape(columns.Values);
    }

    BatchNormalizationTransformer Fit(IDataView input, Layer[] from)
    {
        host.CheckValue(input, nameof(input));
        ColumnFit[] columns = [.. from.Select(layer => ColumnFit.Of(host, input.Schema, layer))];
        DataViewSchema.Column? mask = settings.FindMask(host, input.Schema, from.Select(layer => layer.Options));
        using IChannel channel = host.Start("Fit");
        foreach (string message in columns.Select(column => column.DescribeChannels()).OfType<string>())
            channel.Info(message);
        foreach (Layer layer in from.Where(ReplacesPretrained))
        {
            channel.Warning(
                $"Column '{layer.Output}': exact statistics (MovingStatistics.Population) do not go on from an " +
                "average, or from statistics without their counts. Those of the new data replace the pretrained ones.");
        }
        foreach (Layer layer in from.Where(
            layer => layer.Pretrained is null && !layer.Options.MovesStatistics(training: true)))
        {
            channel.Warning(
                $"Column '{layer.Output}' is not trainable and has no pretrained state: it is normalized with mean 0 " +
                "and variance 1, which changes nothing but for ε, γ and β.");
        }
        new StatisticsFitter(host, channel, settings).Run(input, columns, mask);
        foreach (ColumnFit column in columns)
        {
            column.SettleConstants(channel);
            column.TellWeakChannels(channel);
        }
        return new BatchNormalizationTransformer(
            host, settings with { CancellationToken = default }, Array.ConvertAll(columns, fit => fit.ToColumn()));
    }

    /// <summary>Whether a population begins anew, where there are statistics to go on from.</summary>
    static bool ReplacesPretrained(Layer layer) =>
        layer.Options.EffectiveMovingStatistics == MovingStatistics.Population
        && layer.Options.MovesStatistics(training: true)
        && layer.Pretrained is { InitialWeight: < 1 } state
        && state.GetPopulation() is null;

    static Layer[] LayersOf(IHostEnvironment env, Options options)
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
            options.Columns, pair => new Layer(pair.OutputColumnName, pair.InputColumnName, layer));
    }

    /// <summary>
    /// The layers with the states of a transformer; what is frozen in either is frozen, with a warning where it is so
    /// in the transformer alone.
    /// </summary>
    static Layer[] Continued(
        IHostEnvironment host, Layer[] layers, BatchNormalizationTransformer previous, string parameter)
    {
        Layer[] continued = Array.ConvertAll(layers, layer =>
        {
            BatchNormalizationColumn column = previous.GetColumn(layer.Output);
            BatchNormalizationOptions options = Filled(layer.Options, column.Options);
            CheckState(host, options, column.State, parameter);
            bool isFittedAxis = IsAxis(layer.Options.Axis, column);
            options = options with
            {
                Axis = isFittedAxis ? column.Axis : options.Axis,
                Trainable = options.Trainable && column.Options.Trainable,
                UpdateStatistics = options.UpdateStatistics && column.Options.UpdateStatistics,
            };
            return layer with
            {
                Pretrained = ForOptions(column.State, options),
                FittedTo = isFittedAxis ? column.Input : null,
                Options = options,
            };
        });
        FrozenColumns.Warn(host, layers.Where(layer => layer.Options.MovesStatistics(training: true))
            .Select(layer => previous.GetColumn(layer.Output))
            .Where(column => !column.Options.MovesStatistics(training: true)));
        return continued;
    }

    /// <summary>Whether an axis that may have been said is that of a fitted column.</summary>
    static bool IsAxis(int? said, BatchNormalizationColumn column) =>
        said is null || said == column.Axis || said + column.Input?.Shape.Rank + 1 == column.Axis;

    /// <summary>
    /// The state without constants that are settled, where the options have an ε, or an average goes on from it.
    /// </summary>
    internal static BatchNormalizationState ForOptions(
        BatchNormalizationState state, BatchNormalizationOptions options) =>
        options.EffectiveEpsilon == 0 && (options.EffectiveMovingStatistics == MovingStatistics.Population
            || !options.MovesStatistics(training: true))
            ? state
            : state.WithoutConstants(options.EffectiveVarianceConvention);

    /// <summary>Throws ML.NET's argument error where a state does not fit the options.</summary>
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
