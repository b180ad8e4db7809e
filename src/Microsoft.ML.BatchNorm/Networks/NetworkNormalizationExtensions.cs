using System.Diagnostics.Contracts;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML;

/// <summary>
/// Looks at the batch normalization inside the network of a model, and adapts all batch normalization of a model to new
/// rows without labels.
/// </summary>
/// <remarks>
/// A model is a fitted or loaded chain that has a network among its steps, in chains within it too, or that step alone:
/// a prediction transformer of a network trainer, or an <see cref="ApplyNetworkTransformer"/>. You pass the rows that go
/// into the model; the steps before the network are applied for you. A network leaves rows with a feature that is not
/// finite out, with a warning. Rows that do not fit in half of the memory go through a temporary file.
/// </remarks>
public static class NetworkNormalizationExtensions
{
    /// <summary>
    /// Tells what is wrong with the batch normalization of a model's network, if anything: a report per layer, and a
    /// verdict with the call that mends it.
    /// </summary>
    /// <remarks>
    /// A model that was trained in this process knows the size of its batches. For a loaded one, set
    /// <see cref="DiagnosisOptions.TrainingBatchSize"/> if you know it.
    /// </remarks>
    /// <param name="model">A fitted or loaded model.</param>
    /// <param name="rows">The rows that go into the model.</param>
    /// <param name="labelColumnName">
    /// The column of labels, as it is in front of the network, to measure loss and metric too; null to look at no
    /// labels. Default: null.
    /// </param>
    /// <param name="trainingRows">
    /// The rows that the model was trained on, which decide between causes that look the same on new rows; null if they
    /// are not known. They may be the same view as <paramref name="rows"/>. Default: null.
    /// </param>
    /// <param name="options">What else is known; null for nothing. The loss may be null: it follows from the task.</param>
    /// <param name="cancellationToken">Cancels between parts of the rows.</param>
    /// <exception cref="ArgumentException">The model has no network, or several.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing, or of a type that cannot be used.</exception>
    /// <exception cref="InvalidOperationException">The data has no rows, or none that are complete.</exception>
    /// <exception cref="OperationCanceledException">The token was canceled, or the context while rows were read.</exception>
    /// <example>
    /// <code>
    /// BatchNormalizationDiagnosis diagnosis = model.DiagnoseBatchNormalization(newRows, labelColumnName: "Label");
    /// Console.WriteLine(diagnosis.Verdict);
    /// diagnosis.SaveHtml("diagnosis.html");
    /// </code>
    /// </example>
    public static BatchNormalizationDiagnosis DiagnoseBatchNormalization(
        this ITransformer model, IDataView rows, string? labelColumnName = null, IDataView? trainingRows = null,
        DiagnosisOptions? options = null, CancellationToken cancellationToken = default)
    {
        NetworkStep step = NetworkStep.In(model);
        Contracts.CheckValue(rows, nameof(rows));
        options ??= new DiagnosisOptions();
        options = options with
        {
            TrainingBatchSize = options.TrainingBatchSize ?? step.Result?.Checkpoint.Setup.Options.BatchSize,
        };
        if (labelColumnName is not null && options.Loss is null)
            options = options with { Loss = step.Loss };
        return step.WithRows(
            model, rows, options.Loss is null ? null : labelColumnName, data =>
                trainingRows is null ? Diagnose(data, options.TrainingRows)
                : trainingRows == rows ? Diagnose(data, data)
                : step.WithRows(
                    model, trainingRows, null, training => Diagnose(data, training), cancellationToken),
            cancellationToken);

        BatchNormalizationDiagnosis Diagnose(TrainingData data, TrainingData? training) =>
            BatchNormalizationDiagnosis.Of(
                step.Network.Network, step.Network.State, data, options with { TrainingRows = training },
                cancellationToken);
    }

    /// <summary>
    /// Adapts a model to rows of another kind without labels: replaces the moving statistics of its batch normalizations
    /// by the exact ones of the rows, or mixes both. Nothing else changes.
    /// </summary>
    /// <remarks>
    /// These are the layers of the model (<see cref="BatchNormalizationTransformer.RecomputeStatistics"/>) and those
    /// inside its network. A later one gets what the earlier ones give once they are adapted.
    /// </remarks>
    /// <param name="model">
    /// A fitted or loaded model with batch normalization layers, a network, or both; it does not change.
    /// </param>
    /// <param name="rows">The rows that go into the model. No label is needed.</param>
    /// <param name="weight">
    /// The share of the new rows: 1 replaces, 0.3 mixes three parts of new rows with seven of old ones as
    /// <see cref="NetworkTrainer.MergeStatistics"/> does, and null weighs both by their numbers of values. Default: 1.
    /// </param>
    /// <param name="layers">
    /// The output columns of the layers to adapt, and paths or patterns of those inside the network; frozen ones too.
    /// Null for all layers that are not frozen.
    /// </param>
    /// <param name="cancellationToken">Cancels while rows are read, and between layers.</param>
    /// <typeparam name="TModel">The model's type.</typeparam>
    /// <returns>The whole model, with the same steps and the same switches.</returns>
    /// <exception cref="ArgumentException">
    /// The model has no batch normalization, or several networks; no statistics may move; a name or pattern matches no
    /// layer; or the weight is null and a layer does not know how many values its statistics are of.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The weight is not from 0 to 1, or a column is missing or of a type that cannot be used.
    /// </exception>
    /// <exception cref="InvalidOperationException">The data has no rows, or none that are complete.</exception>
    /// <exception cref="OperationCanceledException">The token was canceled, or the context while rows were read.</exception>
    /// <example>
    /// <code>
    /// ITransformer adapted = model.RecomputeBatchNormalization(newRows);
    /// </code>
    /// </example>
    [Pure]
    public static TModel RecomputeBatchNormalization<TModel>(
        this TModel model, IDataView rows, double? weight = 1, IReadOnlyCollection<string>? layers = null,
        CancellationToken cancellationToken = default)
        where TModel : class, ITransformer
    {
        Contracts.CheckValue(model, nameof(model));
        Contracts.CheckValue(rows, nameof(rows));
        Contracts.CheckParam(
            layers is not { Count: 0 }, nameof(layers), "Name at least one layer, or pass null for all.");
        bool hasNetwork = NetworkStep.IsIn(model);
        // Without a network every name must be that of a layer.
        string[]? ofLayers = hasNetwork && layers is not null
            ? BatchNormalizationExtensions.NamesOfLayers(model, layers)
            : layers?.ToArray();
        string[]? ofNetwork = layers is null ? null : [.. layers.Except(ofLayers!)];
        bool layersMove = ofLayers is null ? BatchNormalizationExtensions.HasMovingLayers(model) : ofLayers.Length > 0;
        if (layersMove || !hasNetwork)
            model = BatchNormalizationExtensions.Recompute(model, rows, weight, ofLayers, cancellationToken);
        bool networkMoves = ofNetwork is null ? NetworkStep.Moves(model) : ofNetwork.Length > 0;
        if (networkMoves || !layersMove && hasNetwork)
            model = RecomputeNetwork(model, rows, weight, ofNetwork, cancellationToken);
        return model;
    }

    static TModel RecomputeNetwork<TModel>(
        TModel model, IDataView rows, double? weight, string[]? paths, CancellationToken cancellationToken)
        where TModel : class, ITransformer
    {
        NetworkStep step = NetworkStep.In(model);
        SavedNetwork before = step.Network;
        Network moving = paths is null ? before.Network : before.Network.Freeze("*").Unfreeze(paths);
        NetworkState after = step.WithRows(
            model, rows, null, data => weight is 1
                ? NetworkTrainer.Recompute(
                    moving, before.State, () => data, null, cancellationToken.ThrowIfCancellationRequested)
                : NetworkTrainer.Merge(
                    moving, before.State, () => data, weight, null, cancellationToken.ThrowIfCancellationRequested),
            cancellationToken);
        ITransformer adapted = step.With(before with { State = after });
        return ChainSteps.Replace(model, other => other == step.Transformer ? adapted : other);
    }

    /// <inheritdoc cref="DiagnoseBatchNormalization(ITransformer, IDataView, string?, IDataView?, DiagnosisOptions?, CancellationToken)"/>
    /// <param name="catalog">The catalog.</param>
    /// <param name="model">A fitted or loaded model.</param>
    /// <param name="rows">The rows that go into the model.</param>
    /// <param name="labelColumnName">The column of labels in front of the network, or null.</param>
    /// <param name="trainingRows">The rows that the model was trained on, or null.</param>
    /// <param name="options">What else is known; null for nothing.</param>
    /// <param name="cancellationToken">Cancels between parts of the rows.</param>
    public static BatchNormalizationDiagnosis DiagnoseBatchNormalization(
        this ModelOperationsCatalog catalog, ITransformer model, IDataView rows, string? labelColumnName = null,
        IDataView? trainingRows = null, DiagnosisOptions? options = null, CancellationToken cancellationToken = default)
    {
        Contracts.CheckValue(catalog, nameof(catalog));
        return model.DiagnoseBatchNormalization(rows, labelColumnName, trainingRows, options, cancellationToken);
    }

    /// <inheritdoc cref="RecomputeBatchNormalization{TModel}(TModel, IDataView, double?, IReadOnlyCollection{string}?, CancellationToken)"/>
    /// <param name="catalog">The catalog.</param>
    /// <param name="model">A fitted or loaded model; it does not change.</param>
    /// <param name="rows">The rows that go into the model. No label is needed.</param>
    /// <param name="weight">The share of the new rows, or null.</param>
    /// <param name="layers">The layers to adapt, or null.</param>
    /// <param name="cancellationToken">Cancels between parts of the rows.</param>
    [Pure]
    public static TModel RecomputeBatchNormalization<TModel>(
        this ModelOperationsCatalog catalog, TModel model, IDataView rows, double? weight = 1,
        IReadOnlyCollection<string>? layers = null, CancellationToken cancellationToken = default)
        where TModel : class, ITransformer
    {
        Contracts.CheckValue(catalog, nameof(catalog));
        return model.RecomputeBatchNormalization(rows, weight, layers, cancellationToken);
    }
}
