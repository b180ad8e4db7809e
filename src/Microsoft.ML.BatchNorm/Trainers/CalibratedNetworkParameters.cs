using Microsoft.ML;
using Microsoft.ML.BatchNorm.Persistence;
using Microsoft.ML.Calibrators;
using Microsoft.ML.Data;
using Microsoft.ML.Model.OnnxConverter;
using Microsoft.ML.Runtime;
using CalibratedNetwork = Microsoft.ML.Trainers.CalibratedNetworkParameters<
    Microsoft.ML.Trainers.BatchNormNetworkBinaryModelParameters, Microsoft.ML.Calibrators.PlattCalibrator>;

[assembly: LoadableClass(
    typeof(CalibratedNetwork), null, typeof(SignatureLoadModel), "Batch normalization network, calibrated",
    CalibratedNetwork.LoaderSignature)]

namespace Microsoft.ML.Trainers;

/// <summary>
/// A binary network and the function that makes probabilities of its scores. It is bound as the network is, where
/// ML.NET's own calibrated models look at the size of the features alone.
/// </summary>
/// <remarks>
/// It has two type parameters because ML.NET gives them to the base type, of which a loaded transformer's model is.
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
