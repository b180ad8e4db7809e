using Microsoft.ML;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Calibrators;
using Microsoft.ML.Data;
using Microsoft.ML.Model.OnnxConverter;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;
using Microsoft.ML.Trainers;
using CalibratedNetwork = Microsoft.ML.Calibrators.CalibratedModelParametersBase<
    Microsoft.ML.Trainers.BatchNormNetworkBinaryModelParameters, Microsoft.ML.Calibrators.PlattCalibrator>;
using CalibratedNetworkParameters = Microsoft.ML.Trainers.CalibratedNetworkParameters<
    Microsoft.ML.Trainers.BatchNormNetworkBinaryModelParameters, Microsoft.ML.Calibrators.PlattCalibrator>;

[assembly: LoadableClass(
    typeof(BatchNormNetworkBinaryModelParameters), null, typeof(SignatureLoadModel),
    "Batch normalization network, binary", BatchNormNetworkBinaryModelParameters.LoaderSignature)]

[assembly: LoadableClass(
    typeof(CalibratedNetworkParameters), null, typeof(SignatureLoadModel),
    "Batch normalization network, calibrated", CalibratedNetworkParameters.LoaderSignature)]

namespace Microsoft.ML.Trainers;

/// <summary>
/// Trains a network to tell two classes apart, with binary cross-entropy. The label is a <see cref="bool"/>. As with
/// ML.NET's logistic regression, the score is the logarithm of the odds, and its sigmoid is the probability.
/// </summary>
/// <seealso cref="BatchNormNetworkCatalog"/>
public sealed class BatchNormNetworkBinaryTrainer : BatchNormNetworkTrainerBase<
    BinaryPredictionTransformer<CalibratedNetwork>, CalibratedNetwork>
{
    internal BatchNormNetworkBinaryTrainer(IHostEnvironment env, Options options)
        : base(
            HostOf<BatchNormNetworkBinaryTrainer>(env, options), options,
            TrainerUtils.MakeBoolScalarLabel(options.LabelColumnName), Loss.BinaryCrossEntropy, options.ClassWeights) =>
        Host.CheckUserArg(
            options.ClassWeights.Length is 0 or 2, nameof(options.ClassWeights),
            $"ClassWeights must be two, for the negative and the positive rows, not {options.ClassWeights.Length}.");

    /// <summary>The options of a <see cref="BatchNormNetworkBinaryTrainer"/>.</summary>
    public sealed class Options : BatchNormNetworkTrainerOptions
    {
        /// <summary>
        /// Two weights, for the negative and the positive rows, which multiply the rows' own weights. Default: none.
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

    // Platt's calibrator with slope −1 and offset 0 is the sigmoid.
    private protected override CalibratedNetwork CreateModel(
        TrainingResult result, DataViewSchema.Column label) =>
        new CalibratedNetworkParameters(
            Host, new BatchNormNetworkBinaryModelParameters(Host, new SavedNetwork(result.Network, result.State))
            {
                TrainingResult = result.WithClassNames(["false", "true"]),
            },
            new PlattCalibrator(Host, -1, 0));

    static SchemaShape.Column Scalar(string name, DataViewType type, IEnumerable<SchemaShape.Column> annotations) =>
        new(name, SchemaShape.Column.VectorKind.Scalar, type, isKey: false, new SchemaShape(annotations));
}

/// <summary>A network whose one output is the logarithm of the odds that a row is positive.</summary>
public sealed class BatchNormNetworkBinaryModelParameters : BatchNormNetworkModelParametersBase<float>
{
    internal const string LoaderSignature = "BatchNormNetBinary";

    static readonly VersionInfo version = ModelEntry.FirstVersion("BNNETBIN", LoaderSignature);

    internal BatchNormNetworkBinaryModelParameters(IHostEnvironment env, SavedNetwork saved)
        : base(
            env, nameof(BatchNormNetworkBinaryModelParameters), PredictionKind.BinaryClassification, version, saved)
    {
    }

    internal static BatchNormNetworkBinaryModelParameters Create(IHostEnvironment env, ModelLoadContext ctx) =>
        new(env, Load(env, ctx, version));
}

/// <summary>
/// A binary network and the calibrator that turns its scores into probabilities. ML.NET's own calibrated models compare
/// only the size of the features; this class binds columns as <see cref="NetworkBinding"/> does.
/// </summary>
/// <remarks>
/// It has two type parameters because ML.NET passes them to the base type, which is the model type of a loaded
/// transformer.
/// </remarks>
[PredictionTransformerLoadType(typeof(CalibratedModelParametersBase<,>))]
sealed class CalibratedNetworkParameters<TNetwork, TCalibrator>
    : ValueMapperCalibratedModelParametersBase<TNetwork, TCalibrator>, ICanSaveModel, ISchemaBindableMapper,
        IBindableCanSaveOnnx
    where TNetwork : class, INetworkModelParameters
    where TCalibrator : class, ICalibrator
{
    internal const string LoaderSignature = "BatchNormNetCalibrated";

    static readonly VersionInfo version = ModelEntry.FirstVersion("BNNETCAL", LoaderSignature);

    readonly NetworkBinding binding;

    public CalibratedNetworkParameters(IHostEnvironment env, TNetwork network, TCalibrator calibrator)
        : base(env, nameof(CalibratedNetworkParameters<,>), network, calibrator) =>
        binding = new NetworkBinding(
            this, network.Network.InputShape, new SchemaBindableBinaryPredictorWrapper(this));

    static CalibratedNetworkParameters<TNetwork, TCalibrator> Create(IHostEnvironment env, ModelLoadContext ctx)
    {
        Contracts.CheckValue(env, nameof(env));
        env.CheckValue(ctx, nameof(ctx));
        ctx.CheckAtModel(version);
        return new(env, GetPredictor(env, ctx), GetCalibrator(env, ctx));
    }

    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        Host.CheckValue(ctx, nameof(ctx));
        ctx.CheckAtModel();
        ctx.SetVersionInfo(version);
        SaveCore(ctx);
    }

    ISchemaBoundMapper ISchemaBindableMapper.Bind(IHostEnvironment env, RoleMappedSchema schema) =>
        binding.Bind(env, schema);

    bool IBindableCanSaveOnnx.SaveAsOnnx(OnnxContext ctx, RoleMappedSchema schema, string[] outputNames) =>
        binding.SaveAsOnnx(ctx, schema, outputNames);
}
