using Microsoft.ML;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;
using Microsoft.ML.Trainers;

[assembly: LoadableClass(
    typeof(BatchNormNetworkRegressionModelParameters), null, typeof(SignatureLoadModel),
    "Batch normalization network, regression", BatchNormNetworkRegressionModelParameters.LoaderSignature)]

namespace Microsoft.ML.Trainers;

/// <summary>Trains a network to predict a number: a <see cref="float"/> label, and a score in its unit.</summary>
/// <remarks>
/// The label's unit does not matter. The network is trained on labels of mean 0 and deviation 1. Its last layer with a
/// kernel then absorbs mean and deviation of the training rows, so that the model predicts in the label's unit without
/// any further step. If that layer has no bias, or a ReLU follows it, only the deviation is taken out; if another
/// activation follows it, the labels are used as they are. The log says which. Losses, metrics and the states of
/// checkpoints are in the label's unit too, but a checkpoint's optimizer is not: continue with <c>Fit(rows, model)</c>,
/// since <see cref="NetworkTrainer.Resume"/> refuses the checkpoint. Regularizers, weight decay and the limit of the
/// gradient's norm apply to the network on standardized labels.
/// </remarks>
/// <seealso cref="BatchNormNetworkCatalog"/>
public sealed class BatchNormNetworkRegressionTrainer : BatchNormNetworkTrainerBase<
    RegressionPredictionTransformer<BatchNormNetworkRegressionModelParameters>,
    BatchNormNetworkRegressionModelParameters>
{
    readonly Loss loss;

    internal BatchNormNetworkRegressionTrainer(IHostEnvironment env, Options options)
        : base(
            HostOf<BatchNormNetworkRegressionTrainer>(env, options), options,
            TrainerUtils.MakeR4ScalarColumn(options.LabelColumnName), options.Loss, [])
    {
        Host.CheckUserArg(
            options.Loss is MeanSquaredErrorLoss or MeanAbsoluteErrorLoss or HuberLoss, nameof(options.Loss),
            $"Loss must be the mean squared or absolute error, or Huber's, not {options.Loss.GetType().Name}.");
        loss = options.Loss;
    }

    /// <summary>The options of a <see cref="BatchNormNetworkRegressionTrainer"/>.</summary>
    public sealed class Options : BatchNormNetworkTrainerOptions
    {
        /// <summary>
        /// What training minimizes: <see cref="Loss.MeanSquaredError"/>, <see cref="Loss.MeanAbsoluteError"/> or
        /// <see cref="Loss.Huber"/> with δ in the label's unit. Default: the mean squared error.
        /// </summary>
        public Loss Loss { get; set; } = Loss.MeanSquaredError;
    }

    /// <inheritdoc/>
    protected override PredictionKind PredictionKind => PredictionKind.Regression;

    /// <inheritdoc/>
    protected override SchemaShape.Column[] GetOutputColumnsCore(SchemaShape inputSchema) =>
    [
        new SchemaShape.Column(
            DefaultColumnNames.Score, SchemaShape.Column.VectorKind.Scalar, NumberDataViewType.Single, isKey: false,
            new SchemaShape(AnnotationUtils.GetTrainerOutputAnnotation())),
    ];

    /// <inheritdoc/>
    protected override RegressionPredictionTransformer<BatchNormNetworkRegressionModelParameters> MakeTransformer(
        BatchNormNetworkRegressionModelParameters model, DataViewSchema trainSchema) =>
        new(Host, model, trainSchema, FeatureColumn.Name);

    private protected override int CheckLabel(RoleMappedData data)
    {
        data.CheckRegressionLabel();
        return 1;
    }

    private protected override TargetScale? Scale(
        IChannel channel, Network network, RowSet kept, ICollective? ranks, Action check)
    {
        if (TargetScale.IsCentered(network) is not { } isCentered)
        {
            channel.Warning(
                "The network is trained on the labels as they are. Their mean and deviation go into its last Dense " +
                $"or Conv2D layer, and its end, '{network.Nodes[^1].Path}', does not let them through. If the labels " +
                "are far from mean 0 and deviation 1, end the network in a Dense layer.");
            return null;
        }
        TargetScale scale = TargetScale.Of(kept.Data, kept.Own, isCentered, ranks, check);
        channel.Info(FormattableString.Invariant(
            $"Trained on (label - {scale.Mean:G6}) / {scale.Deviation:G6}; losses are in the label's unit."));
        if (loss is HuberLoss huber && huber.Delta < 1e-4 * scale.Deviation)
        {
            channel.Warning(FormattableString.Invariant(
                $"Huber's delta, {huber.Delta:G6}, is tiny beside the label's deviation, {scale.Deviation:G6}: the ")
                + "loss is an absolute error whose gradient is small. Take a greater delta, or MeanAbsoluteError.");
        }
        return scale;
    }

    private protected override BatchNormNetworkRegressionModelParameters CreateModel(
        TrainingResult result, DataViewSchema.Column label) =>
        new(Host, new SavedNetwork(result.Network, result.State)) { TrainingResult = result };
}

/// <summary>A network whose one output is the predicted value.</summary>
public sealed class BatchNormNetworkRegressionModelParameters : BatchNormNetworkModelParametersBase<float>
{
    internal const string LoaderSignature = "BatchNormNetRegression";

    static readonly VersionInfo version = ModelEntry.FirstVersion("BNNETREG", LoaderSignature);

    internal BatchNormNetworkRegressionModelParameters(IHostEnvironment env, SavedNetwork saved)
        : base(env, nameof(BatchNormNetworkRegressionModelParameters), PredictionKind.Regression, version, saved)
    {
    }

    internal static BatchNormNetworkRegressionModelParameters Create(IHostEnvironment env, ModelLoadContext ctx) =>
        new(env, Load(env, ctx, version));
}
