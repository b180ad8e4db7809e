using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Trainers;

/// <summary>Trains a network to predict a number: a <see cref="float"/> label, and a score in its unit.</summary>
/// <seealso cref="BatchNormNetworkCatalog"/>
public sealed class BatchNormNetworkRegressionTrainer : BatchNormNetworkTrainerBase<
    RegressionPredictionTransformer<BatchNormNetworkRegressionModelParameters>,
    BatchNormNetworkRegressionModelParameters>
{
    internal BatchNormNetworkRegressionTrainer(IHostEnvironment env, Options options)
        : base(
            TrainerHost.Of<BatchNormNetworkRegressionTrainer>(env, options), options,
            TrainerUtils.MakeR4ScalarColumn(options.LabelColumnName), options.Loss, []) =>
        Host.CheckUserArg(
            options.Loss is MeanSquaredErrorLoss or MeanAbsoluteErrorLoss or HuberLoss, nameof(options.Loss),
            "Must be the mean squared or absolute error, or Huber's");

    /// <summary>The options of a <see cref="BatchNormNetworkRegressionTrainer"/>.</summary>
    public sealed class Options : BatchNormNetworkTrainerOptions
    {
        /// <summary>
        /// What training makes small: <see cref="Loss.MeanSquaredError"/>, <see cref="Loss.MeanAbsoluteError"/> or
        /// <see cref="Loss.Huber"/>. Default: the mean squared error.
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

    private protected override BatchNormNetworkRegressionModelParameters CreateModel(
        Network network, NetworkState state) =>
        new(Host, new SavedNetwork(network, state));
}
