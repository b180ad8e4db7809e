using System.Diagnostics.Contracts;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML;

/// <summary>
/// What is done to a batch normalization layer, done to the whole model that it is a step of: fine-tune, freeze and
/// unfreeze it, and compare its statistics with new data.
/// </summary>
/// <remarks>
/// <para>
/// A model is a chain that was fitted or loaded, with chains within it, or a single
/// <see cref="BatchNormalizationTransformer"/>. You pass the rows that go into the model; the steps before a layer are
/// applied for you. What comes back is the whole model again, of the same type, with the same steps and scopes; only
/// the layers have changed. The model that you pass does not change.
/// </para>
/// <para>
/// A layer is named by its output column. A name that several layers have stands for all of them; <c>Features#1</c> and
/// <c>Features#2</c> stand for one each, in the order in which they are applied. Layers inside a network are not meant:
/// its trainer trains them.
/// </para>
/// <para>
/// The rows need the columns that the layers depend on. If they lack others, such as the label, steps such as
/// <c>MapValueToKey</c> that need them are left out: all steps that map columns one to one, <c>Concatenate</c> and
/// <c>SelectColumns</c>. Any other step before a layer needs its columns, as in <c>Transform</c>. Steps behind the last
/// layer need nothing.
/// </para>
/// </remarks>
public static class BatchNormalizationExtensions
{
    /// <summary>
    /// Goes on fitting the batch normalization layers of a model: moves their statistics by the data, layer by layer.
    /// A later layer gets what the earlier ones give once they have moved.
    /// </summary>
    /// <remarks>
    /// Each layer reads the rows as <see cref="BatchNormalizationTransformer.FineTune"/> does: once for exact
    /// statistics, once per epoch for averages. It gets the rows that a fit of the whole chain would give it: steps that
    /// are for training only are applied, and the rows are normalized batch by batch behind a layer with
    /// <see cref="DownstreamStatistics.Batch"/>. A frozen layer stays bit for bit, with a warning. No other step is
    /// fitted.
    /// </remarks>
    /// <typeparam name="TModel">The model's type.</typeparam>
    /// <param name="model">A fitted or loaded model.</param>
    /// <param name="rows">The rows that go into the model. No label is needed.</param>
    /// <param name="columnNames">
    /// The output columns of the layers to move; none for all. The other layers stay as they are.
    /// </param>
    /// <returns>The model with the layers moved on.</returns>
    /// <exception cref="ArgumentException">The model has no batch normalization layer.</exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// No layer has one of the names; or a column is missing, has another type or size, or is marked as normalized
    /// although the one that the layer was fitted to was not.
    /// </exception>
    /// <exception cref="OperationCanceledException">The context was canceled; nothing is left behind.</exception>
    /// <exception cref="InvalidOperationException">
    /// A value is not finite and the options do not ignore it, the data has no rows (or a single row for an average),
    /// or the GPU that the context asks for is not available.
    /// </exception>
    /// <example>
    /// <code>
    /// mlContext.Model.Save(model, rows.Schema, "fitted.zip");
    ///
    /// ITransformer loaded = mlContext.Model.Load("fitted.zip", out DataViewSchema schema);
    /// ITransformer tuned = loaded.FineTuneBatchNormalization(newRows);
    /// mlContext.Model.Save(tuned, schema, "tuned.zip");
    /// </code>
    /// </example>
    [Pure]
    public static TModel FineTuneBatchNormalization<TModel>(
        this TModel model, IDataView rows, params string[] columnNames)
        where TModel : class, ITransformer =>
        model.FineTuneBatchNormalization(rows, CancellationToken.None, columnNames);

    /// <param name="model">A fitted or loaded model.</param>
    /// <param name="rows">The rows that go into the model. No label is needed.</param>
    /// <param name="cancellationToken">Cancels within a batch.</param>
    /// <param name="columnNames">
    /// The output columns of the layers to move; none for all. The other layers stay as they are.
    /// </param>
    /// <exception cref="OperationCanceledException">
    /// The context or the token was canceled; nothing is left behind.
    /// </exception>
    /// <example>
    /// <code>
    /// using var source = new CancellationTokenSource(TimeSpan.FromMinutes(5));
    /// ITransformer tuned = model.FineTuneBatchNormalization(newRows, source.Token, "Features");
    /// </code>
    /// </example>
    /// <inheritdoc cref="FineTuneBatchNormalization{TModel}(TModel, IDataView, string[])"/>
    [Pure]
    public static TModel FineTuneBatchNormalization<TModel>(
        this TModel model, IDataView rows, CancellationToken cancellationToken, params string[] columnNames)
        where TModel : class, ITransformer
    {
        NamedLayer[] layers = Choose(model, columnNames);
        Contracts.CheckValue(rows, nameof(rows));
        int next = 0, last = Array.FindLastIndex(layers, layer => layer.Columns.Count > 0);
        ChainRows passing = RowsInto(layers, rows);
        return ChainSteps.Replace(model, step =>
        {
            if (next <= last && step is BatchNormalizationTransformer)
            {
                NamedLayer layer = layers[next++];
                step = layer.With(part => part.FineTune(passing.For(part), cancellationToken));
            }
            if (next <= last)
                passing.Pass(step, training: true);
            return step;
        });
    }

    /// <summary>
    /// Freezes batch normalization layers of a model: fine-tuning leaves their statistics as they are, until they are
    /// unfrozen. The switch is saved with the model.
    /// </summary>
    /// <typeparam name="TModel">The model's type.</typeparam>
    /// <param name="model">A fitted or loaded model.</param>
    /// <param name="columnNames">The output columns of the layers to freeze; none for all.</param>
    /// <returns>The model with the layers frozen.</returns>
    /// <exception cref="ArgumentException">The model has no batch normalization layer.</exception>
    /// <exception cref="ArgumentOutOfRangeException">No layer has one of the names.</exception>
    /// <example>
    /// <code>
    /// // The statistics of "Features" stay as they are; those of other layers, if there are any, move.
    /// ITransformer tuned = model.FreezeBatchNormalization("Features").FineTuneBatchNormalization(newRows);
    /// </code>
    /// </example>
    [Pure]
    public static TModel FreezeBatchNormalization<TModel>(this TModel model, params string[] columnNames)
        where TModel : class, ITransformer =>
        Change(model, columnNames, layer => layer.Freeze());

    /// <summary>
    /// Unfreezes batch normalization layers of a model: fine-tuning moves their statistics again.
    /// </summary>
    /// <param name="model">A fitted or loaded model.</param>
    /// <param name="columnNames">The output columns of the layers to unfreeze; none for all.</param>
    /// <returns>The model with the layers no longer frozen.</returns>
    /// <example>
    /// <code>
    /// var frozen = model.FreezeBatchNormalization();
    /// ITransformer tuned = frozen.UnfreezeBatchNormalization().FineTuneBatchNormalization(newRows);
    /// </code>
    /// </example>
    /// <inheritdoc cref="FreezeBatchNormalization{TModel}(TModel, string[])"/>
    [Pure]
    public static TModel UnfreezeBatchNormalization<TModel>(this TModel model, params string[] columnNames)
        where TModel : class, ITransformer =>
        Change(model, columnNames, layer => layer.Unfreeze());

    /// <summary>
    /// Tells, per channel of each batch normalization layer of a model, how far new data is from the layer's
    /// statistics. Nothing moves; to move the statistics, call
    /// <see cref="FineTuneBatchNormalization{TModel}(TModel, IDataView, string[])"/>.
    /// </summary>
    /// <remarks>
    /// Each layer is compared in a pass of its own over the rows, as
    /// <see cref="BatchNormalizationTransformer.CompareStatistics"/> does it. The rows come to it as <c>Transform</c>
    /// gives them, without the steps that are not for scoring.
    /// </remarks>
    /// <param name="model">A fitted or loaded model.</param>
    /// <param name="rows">The rows that go into the model. No label is needed.</param>
    /// <param name="columnNames">The output columns of the layers to compare; none for all.</param>
    /// <returns>
    /// A report for each layer, in their order. The key is the name of its output column, or such as <c>Features#1</c>
    /// and <c>Features#2</c> if the model has several layers of that name.
    /// </returns>
    /// <exception cref="ArgumentException">The model has no batch normalization layer.</exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// No layer has one of the names; or a column is missing, has another type or size, or is marked as normalized
    /// although the one that the layer was fitted to was not.
    /// </exception>
    /// <exception cref="OperationCanceledException">The context was canceled.</exception>
    /// <exception cref="InvalidOperationException">
    /// A value is not finite and the options do not ignore it, or the data has no rows.
    /// </exception>
    /// <example>
    /// <code>
    /// foreach ((string column, DriftReport report) in model.CompareStatistics(newRows))
    ///     Console.WriteLine($"{column}: {(report.IsDrift() ? "has drifted" : "as in training")}");
    /// </code>
    /// </example>
    public static IReadOnlyDictionary<string, DriftReport> CompareStatistics(
        this ITransformer model, IDataView rows, params string[] columnNames)
    {
        NamedLayer[] layers = Choose(model, columnNames);
        Contracts.CheckValue(rows, nameof(rows));
        var reports = new Dictionary<string, DriftReport>();
        int next = 0, last = Array.FindLastIndex(layers, layer => layer.Columns.Count > 0);
        ChainRows passing = RowsInto(layers, rows);
        foreach ((ITransformer step, TransformerScope scope) in ChainSteps.WithScopes(model))
        {
            if (step is BatchNormalizationTransformer && layers[next++] is { Columns.Count: > 0 } layer)
            {
                BatchNormalizationTransformer part = layer.Part;
                foreach ((string column, DriftReport report) in part.CompareStatistics(passing.For(part)))
                    reports.Add(layer.Columns[column], report);
            }
            if (next > last)
                break;
            if (scope.HasFlag(TransformerScope.Scoring))
                passing.Pass(step);
        }
        return reports;
    }

    /// <summary>Recomputes the statistics of layers of a model, layer by layer.</summary>
    /// <param name="model">The model.</param>
    /// <param name="rows">The rows that go into it.</param>
    /// <param name="weight">The share of the new rows, or null.</param>
    /// <param name="columnNames">The layers, frozen ones too; null for all that are not frozen.</param>
    /// <param name="cancellationToken">Cancels within a batch.</param>
    internal static TModel Recompute<TModel>(
        TModel model, IDataView rows, double? weight, string[]? columnNames, CancellationToken cancellationToken)
        where TModel : class, ITransformer
    {
        NamedLayer[] layers = Choose(model, columnNames ?? []);
        if (columnNames is null && !HasMovingLayers(model))
            throw Contracts.ExceptParam(
                nameof(model), "No statistics may move: all layers are frozen. Name those that are to move, or unfreeze "
                + "them.");
        TransformerScope[] scopes = [.. ChainSteps.WithScopes(model).Select(step => step.Scope)];
        int at = 0, next = 0, last = Array.FindLastIndex(layers, layer => layer.Columns.Count > 0);
        ChainRows passing = RowsInto(layers, rows);
        return ChainSteps.Replace(model, step =>
        {
            if (next <= last && step is BatchNormalizationTransformer)
            {
                NamedLayer layer = layers[next++];
                BatchNormalizationColumn[] moving = [.. layer.Part.Columns.Where(
                    column => columnNames is not null || column.Options.MovesStatistics(training: true))];
                if (moving.Length > 0)
                    step = layer.With(part => part.Recompute(passing.For(part), weight, moving, cancellationToken));
            }
            if (scopes[at++].HasFlag(TransformerScope.Scoring) && next <= last)
                passing.Pass(step);
            return step;
        });
    }

    internal static bool HasMovingLayers(ITransformer model) => ChainSteps.Find<BatchNormalizationTransformer>(model)
        .Any(layer => layer.Columns.Any(column => column.Options.MovesStatistics(training: true)));

    /// <summary>Those of the names that name a layer of a model.</summary>
    internal static string[] NamesOfLayers(ITransformer model, IEnumerable<string> names)
    {
        string[] outputs = OutputsOf(ChainSteps.Find<BatchNormalizationTransformer>(model));
        return [.. names.Intersect(outputs.Concat(UniqueNames(outputs)))];
    }

    static TModel Change<TModel>(
        TModel model, string[] columnNames, Func<BatchNormalizationTransformer, BatchNormalizationTransformer> change)
        where TModel : class, ITransformer
    {
        NamedLayer[] layers = Choose(model, columnNames);
        int next = 0;
        return ChainSteps.Replace(
            model, step => step is BatchNormalizationTransformer ? layers[next++].With(change) : step);
    }

    static ChainRows RowsInto(NamedLayer[] layers, IDataView rows) => new(layers[0].Transformer.HostEnvironment, rows);

    /// <summary>The layers of a model in their order, each with those of its columns that are asked for.</summary>
    static NamedLayer[] Choose(ITransformer model, string[] columnNames)
    {
        Contracts.CheckValue(model, nameof(model));
        Contracts.CheckValue(columnNames, nameof(columnNames));
        BatchNormalizationTransformer[] transformers = [.. ChainSteps.Find<BatchNormalizationTransformer>(model)];
        if (transformers.Length == 0)
            throw Contracts.ExceptParam(
                nameof(model),
                "The model has no batch normalization layer: none of its steps is a BatchNormalizationTransformer. For "
                + "layers inside a network there are DiagnoseBatchNormalization and RecomputeBatchNormalization.");
        string[] outputs = OutputsOf(transformers);
        string[] names = UniqueNames(outputs);
        foreach (string unknown in columnNames.Where(name => !outputs.Contains(name) && !names.Contains(name)))
        {
            throw transformers[0].HostEnvironment.ExceptUserArg(
                nameof(columnNames),
                $"The model has no batch normalization layer '{unknown}'; it has " +
                $"{Check.List(names, name: name => $"'{name}'")}.");
        }
        int at = 0;
        return Array.ConvertAll(transformers, transformer =>
        {
            var chosen = new Dictionary<string, string>();
            foreach (string output in transformer.Columns.Select(column => column.OutputColumnName))
            {
                string name = names[at++];
                if (columnNames.Length == 0 || columnNames.Contains(output) || columnNames.Contains(name))
                    chosen.Add(output, name);
            }
            return new NamedLayer(transformer, chosen);
        });
    }

    static string[] OutputsOf(IEnumerable<BatchNormalizationTransformer> layers) =>
        [.. layers.SelectMany(layer => layer.Columns, (_, column) => column.OutputColumnName)];

    /// <summary>The names themselves, numbered where one occurs several times.</summary>
    static string[] UniqueNames(string[] outputs)
    {
        HashSet<string> taken = [.. outputs];
        var count = new Dictionary<string, int>();
        return Array.ConvertAll(outputs, output =>
        {
            if (outputs.Count(other => other == output) == 1)
                return output;
            int number = count[output] = count.GetValueOrDefault(output) + 1;
            string mark = "#";
            while (!taken.Add($"{output}{mark}{number}"))
                mark += "#";
            return $"{output}{mark}{number}";
        });
    }

    /// <summary>A layer, or those of its columns that are asked for.</summary>
    /// <param name="Transformer">The layer with all columns.</param>
    /// <param name="Columns">The outputs that are asked for, with the names that they have in the model.</param>
    sealed record NamedLayer(BatchNormalizationTransformer Transformer, Dictionary<string, string> Columns)
    {
        /// <summary>The transformer of these columns alone.</summary>
        public BatchNormalizationTransformer Part => Transformer.Only(Columns.Keys);

        /// <summary>The whole layer with these columns changed.</summary>
        public BatchNormalizationTransformer With(
            Func<BatchNormalizationTransformer, BatchNormalizationTransformer> change) =>
            Columns.Count == 0 ? Transformer : Transformer.With(change(Part));
    }
}
