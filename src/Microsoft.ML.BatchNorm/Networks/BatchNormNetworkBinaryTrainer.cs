using Microsoft.ML.BatchNorm;
using Microsoft.ML.Calibrators;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using CalibratedNetwork = Microsoft.ML.Calibrators.CalibratedModelParametersBase<
    Microsoft.ML.Trainers.BatchNormNetworkBinaryModelParameters, Microsoft.ML.Calibrators.PlattCalibrator>;

namespace Microsoft.ML.Trainers;

/// <summary>
/// Trains a network to tell two classes apart, by binary cross-entropy. The label is a <see cref="bool"/>; the score is
/// the logarithm of the odds, and its sigmoid the probability, as that of ML.NET's logistic regression.
/// </summary>
/// <seealso cref="BatchNormNetworkCatalog"/>
public sealed class BatchNormNetworkBinaryTrainer : BatchNormNetworkTrainerBase<
    BinaryPredictionTransformer<CalibratedNetwork>, CalibratedNetwork>
{
    internal BatchNormNetworkBinaryTrainer(IHostEnvironment env, Options options)
        : base(
            TrainerHost.Of<BatchNormNetworkBinaryTrainer>(env, options), options,
            TrainerUtils.MakeBoolScalarLabel(options.LabelColumnName), Loss.BinaryCrossEntropy, options.ClassWeights) =>
        Host.CheckUserArg(
            options.ClassWeights.Length is 0 or 2, nameof(options.ClassWeights),
            $"ClassWeights must be two, for the negative and the positive rows, not {options.ClassWeights.Length}.");

    /// <summary>The options of a <see cref="BatchNormNetworkBinaryTrainer"/>.</summary>
    public sealed class Options : BatchNormNetworkTrainerOptions
    {
        /// <summary>
        /// Two weights, for the negative and the positive rows; they multiply the rows' own. Default: none.
        /// </summary>
        public double[] ClassWeights { get; set; } = [];
    }

    /// <inheritdoc/>
    protected override PredictionKind PredictionKind => PredictionKind.BinaryClassification;

    /// <inheritdoc/>
    protected override SchemaShape.Column[] GetOutputColumnsCore(SchemaShape inputSchema) =>
    [
        Scalar(DefaultColumnNames.Score, NumberDataViewType.Single, AnnotationUtils.GetTrainerOutputAnnotation()),
        Scalar(
            DefaultColumnNames.Probability, NumberDataViewType.Single,
            AnnotationUtils.GetTrainerOutputAnnotation(isNormalized: true)),
        Scalar(
            DefaultColumnNames.PredictedLabel, BooleanDataViewType.Instance,
            AnnotationUtils.GetTrainerOutputAnnotation()),
    ];

    /// <inheritdoc/>
    protected override BinaryPredictionTransformer<CalibratedNetwork> MakeTransformer(
        CalibratedNetwork model, DataViewSchema trainSchema) =>
        new(Host, model, trainSchema, FeatureColumn.Name);

    private protected override int CheckLabel(RoleMappedData data)
    {
        data.CheckBinaryLabel();
        return 1;
    }

    // Platt's function with slope −1 and offset 0 is the sigmoid.
    private protected override CalibratedNetwork CreateModel(Network network, NetworkState state) =>
        new CalibratedNetworkParameters<BatchNormNetworkBinaryModelParameters, PlattCalibrator>(
            Host, new BatchNormNetworkBinaryModelParameters(Host, new SavedNetwork(network, state)),
            new PlattCalibrator(Host, -1, 0));

    static SchemaShape.Column Scalar(string name, DataViewType type, IEnumerable<SchemaShape.Column> annotations) =>
        new(name, SchemaShape.Column.VectorKind.Scalar, type, isKey: false, new SchemaShape(annotations));
}
