using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Trainers;

/// <summary>Trains a network to predict a number: a <see cref="float"/> label, and a score in its unit.</summary>
/// <remarks>
/// The label's unit does not matter. The network is trained on labels of mean 0 and deviation 1, and its last layer
/// with a kernel takes the mean and the deviation of the training rows in, so that the model gives the label's unit
/// without any further step. Losses, metrics and the states of checkpoints are in the label's unit too; a checkpoint's
/// optimizer is not, so go on with <c>Fit(rows, model)</c>: <see cref="NetworkTrainer.Resume"/> refuses it. Regularizers,
/// weight decay and the limit of the gradient's length apply to the network that is trained. Where that layer has no
/// bias, or a ReLU follows it, only the scale is taken out; where another activation follows it, the labels are taken as
/// they are. The log says which.
/// </remarks>
/// <seealso cref="BatchNormNetworkCatalog"/>
public sealed class BatchNormNetworkRegressionTrainer : BatchNormNetworkTrainerBase<
    RegressionPredictionTransformer<BatchNormNetworkRegressionModelParameters>,
    BatchNormNetworkRegressionModelParameters>
{
    readonly Loss loss;

    internal BatchNormNetworkRegressionTrainer(IHostEnvironment env, Options options)
        : base(
            TrainerHost.Of<BatchNormNetworkRegressionTrainer>(env, options), options,
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
        /// What training makes small: <see cref="Loss.MeanSquaredError"/>, <see cref="Loss.MeanAbsoluteError"/> or
        /// <see cref="Loss.Huber"/>, whose δ counts in the label's unit. Default: the mean squared error.
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
        IHost host, IChannel channel, Network network, TrainingData rows, IReadOnlyCollection<int> kept)
    {
        if (TargetScale.IsCentered(network) is not { } isCentered)
        {
            channel.Warning(
                "The network is trained on the labels as they are. Their mean and deviation go into its last Dense or " +
                $"Conv2D layer, and its end, '{network.Nodes[^1].Path}', does not let them through. If the labels are " +
                "far from mean 0 and deviation 1, end the network in a Dense layer.");
            return null;
        }
        TargetScale scale = TargetScale.Of(rows, kept, isCentered, host.CheckAlive);
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
        Network network, NetworkState state) =>
        new(Host, new SavedNetwork(network, state));
}
