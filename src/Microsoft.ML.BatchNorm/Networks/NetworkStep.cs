using Microsoft.ML.BatchNorm;
using Microsoft.ML.Calibrators;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Trainers;
using CalibratedNetwork = Microsoft.ML.Calibrators.CalibratedModelParametersBase<
    Microsoft.ML.Trainers.BatchNormNetworkBinaryModelParameters, Microsoft.ML.Calibrators.PlattCalibrator>;

namespace Microsoft.ML.Transforms;

/// <summary>The one step of a model that has a network: what it reads, and itself with another network.</summary>
/// <param name="Host">The step's host.</param>
/// <param name="Transformer">The step.</param>
/// <param name="Network">Its network.</param>
/// <param name="FeatureColumn">The column that it reads.</param>
/// <param name="Loss">The loss of its task; null if it has none.</param>
/// <param name="Result">What its training has given; null if that is not known.</param>
/// <param name="With">Gives the step with another network of the same shapes.</param>
sealed record NetworkStep(
    IHost Host, ITransformer Transformer, SavedNetwork Network, string FeatureColumn, Loss? Loss,
    TrainingResult? Result, Func<SavedNetwork, ITransformer> With)
{
    public static bool IsIn(ITransformer model) => ChainSteps.Of(model).Any(step => Of(step) is not null);

    /// <summary>Whether the model has a network with statistics that may move.</summary>
    public static bool Moves(ITransformer model) =>
        IsIn(model) && In(model).Network.Network.Nodes.Any(node => node.MovesStatistics);

    /// <exception cref="ArgumentException">The model has no such step, or several.</exception>
    public static NetworkStep In(ITransformer model)
    {
        Contracts.CheckValue(model, nameof(model));
        NetworkStep[] found = [.. ChainSteps.Of(model).Select(Of).OfType<NetworkStep>()];
        return found.Length == 1
            ? found[0]
            : throw Contracts.ExceptParam(
                nameof(model), found.Length == 0
                    ? "The model has no network: it must be a prediction transformer of a network trainer, an "
                        + "ApplyNetworkTransformer, or a chain with such a step."
                        + (ChainSteps.Find<BatchNormalizationTransformer>(model).Any()
                            ? " CompareStatistics compares its layers with rows." : "")
                    : $"The model has {found.Length} networks. Pass the step of one of them.");
    }

    /// <summary>
    /// Passes rows through the steps before the network, reads them, and works with them while they can be read.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="rows">The rows that go into it.</param>
    /// <param name="labelColumn">The column of labels; null for none.</param>
    /// <param name="work">The work.</param>
    /// <param name="cancellationToken">Cancels the reading, as the host does.</param>
    public TResult WithRows<TResult>(
        ITransformer model, IDataView rows, string? labelColumn, Func<TrainingData, TResult> work,
        CancellationToken cancellationToken)
    {
        var passing = new ChainRows(Host, rows);
        foreach ((ITransformer step, TransformerScope scope) in ChainSteps.WithScopes(model))
        {
            if (step == Transformer)
                break;
            // A step that makes the label is often for training and testing only.
            if (scope.HasFlag(TransformerScope.Scoring)
                || labelColumn is not null && scope.HasFlag(TransformerScope.Testing))
                passing.Pass(step);
        }
        foreach ((string role, string? column) in (ReadOnlySpan<(string, string?)>)
            [("feature", FeatureColumn), ("label", labelColumn)])
        {
            if (column is not null && passing.View.Schema.GetColumnOrNull(column) is null)
                throw Host.ExceptSchemaMismatch(nameof(rows), role, column);
        }
        var data = new RoleMappedData(passing.View, labelColumn, FeatureColumn);
        data.CheckFeatureFloatVector();
        using IChannel channel = Host.Start("Reading");
        using TrainingRows read = Cancellation.Run(
            Host, run => TrainingRows.Read(
                run, channel, data, TrainingRows.Given, NonFinite.Ignore,
                GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 2), cancellationToken);
        return work(read.Data);
    }

    static NetworkStep? Of(ITransformer step) => step switch
    {
        ApplyNetworkTransformer apply => new NetworkStep(
            apply.HostEnvironment, apply, new SavedNetwork(apply.Network, apply.State), apply.InputColumnName, null, null,
            saved => new ApplyNetworkTransformer(
                apply.HostEnvironment, apply.OutputColumnName, apply.InputColumnName, saved)),
        MulticlassPredictionTransformer<BatchNormNetworkMulticlassModelParameters> { Model: var model } multiclass =>
            Of(multiclass, model, BatchNorm.Loss.SoftmaxCrossEntropy, (host, saved, context) =>
                new MulticlassPredictionTransformer<BatchNormNetworkMulticlassModelParameters>(
                    host, context, host, new BatchNormNetworkMulticlassModelParameters(host, saved))),
        BinaryPredictionTransformer<CalibratedNetwork> { Model: var model } binary =>
            Of(binary, model.SubModel, BatchNorm.Loss.BinaryCrossEntropy, (host, saved, context) =>
                new BinaryPredictionTransformer<CalibratedNetwork>(
                    host, context, host,
                    new CalibratedNetworkParameters<BatchNormNetworkBinaryModelParameters, PlattCalibrator>(
                        host, new BatchNormNetworkBinaryModelParameters(host, saved), model.Calibrator))),
        RegressionPredictionTransformer<BatchNormNetworkRegressionModelParameters> { Model: var model } regression =>
            Of(regression, model, BatchNorm.Loss.MeanSquaredError, (host, saved, context) =>
                new RegressionPredictionTransformer<BatchNormNetworkRegressionModelParameters>(
                    host, context, host, new BatchNormNetworkRegressionModelParameters(host, saved))),
        _ => null,
    };

    static NetworkStep Of<TModel, TOutput>(
        SingleFeaturePredictionTransformerBase<TModel> transformer, BatchNormNetworkModelParametersBase<TOutput> model,
        Loss loss, Func<IHost, SavedNetwork, ModelLoadContext, ITransformer> reload)
        where TModel : class
    {
        IHost host = model.HostEnvironment;
        return new NetworkStep(
            host, transformer, new SavedNetwork(model.Network, model.State), transformer.FeatureColumnName, loss,
            model.TrainingResult, saved => Reload(host, transformer, context => reload(host, saved, context)));
    }

    /// <summary>
    /// The transformer as it is read from a file, so that its columns and what it knows of the labels stay; its
    /// constructor takes another model than the file's.
    /// </summary>
    static ITransformer Reload(IHost host, ICanSaveModel transformer, Func<ModelLoadContext, ITransformer> load)
    {
        const string Folder = "Model";
        using var stream = new MemoryStream();
        using (RepositoryWriter writer = RepositoryWriter.CreateNew(stream, host))
        {
            ModelSaveContext.SaveModel(writer, transformer, Folder);
            writer.Commit();
        }
        stream.Position = 0;
        using RepositoryReader reader = RepositoryReader.Open(stream, host);
        using Repository.Entry entry = reader.OpenEntry(Folder, ModelLoadContext.ModelStreamName);
        using var context = new ModelLoadContext(reader, entry, Folder);
        return load(context);
    }
}
