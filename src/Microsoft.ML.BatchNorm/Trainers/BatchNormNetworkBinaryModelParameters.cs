using Microsoft.ML;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.BatchNorm.Persistence;
using Microsoft.ML.Data;
using Microsoft.ML.Model.OnnxConverter;
using Microsoft.ML.Runtime;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;

[assembly: LoadableClass(
    typeof(BatchNormNetworkBinaryModelParameters), null, typeof(SignatureLoadModel),
    "Batch normalization network, binary", BatchNormNetworkBinaryModelParameters.LoaderSignature)]

namespace Microsoft.ML.Trainers;

/// <summary>A network whose one output is the logarithm of the odds that a row is positive.</summary>
public sealed class BatchNormNetworkBinaryModelParameters : BatchNormNetworkModelParametersBase<float>
{
    internal const string LoaderSignature = "BatchNormNetBinary";

    static readonly VersionInfo version = ModelEntry.FirstVersion("BNNETBIN", LoaderSignature);

    internal BatchNormNetworkBinaryModelParameters(IHostEnvironment env, SavedNetwork saved)
        : base(env, nameof(BatchNormNetworkBinaryModelParameters), saved)
    {
    }

    /// <inheritdoc/>
    protected override PredictionKind PredictionKind => PredictionKind.BinaryClassification;

    private protected override DataViewType OutputType => NumberDataViewType.Single;

    private protected override VersionInfo Version => version;

    internal static BatchNormNetworkBinaryModelParameters Create(IHostEnvironment env, ModelLoadContext ctx) =>
        new(env, Load(env, ctx, version));

    private protected override ValueMapper<VBuffer<float>, float> Mapper() => new NetworkRow(Host, Predictor).Score;

    private protected override void SaveAsOnnx(OnnxContext ctx, string[] outputs, string features) =>
        OnnxNetwork.SaveScore(ctx, this, LoaderSignature, outputs, features);
}
