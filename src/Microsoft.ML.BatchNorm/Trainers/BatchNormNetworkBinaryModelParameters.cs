using Microsoft.ML;
using Microsoft.ML.BatchNorm;
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

    internal BatchNormNetworkBinaryModelParameters(IHostEnvironment env, SavedNetwork saved)
        : base(env, nameof(BatchNormNetworkBinaryModelParameters), saved)
    {
    }

    /// <inheritdoc/>
    protected override PredictionKind PredictionKind => PredictionKind.BinaryClassification;

    private protected override DataViewType OutputType => NumberDataViewType.Single;

    private protected override VersionInfo Version => GetVersion();

    internal static BatchNormNetworkBinaryModelParameters Create(IHostEnvironment env, ModelLoadContext ctx) =>
        new(env, Load(env, ctx, GetVersion()));

    private protected override ValueMapper<VBuffer<float>, float> Mapper()
    {
        var row = new NetworkRow(Host, Predictor);
        return (in VBuffer<float> features, ref float score) => row.Predict(features, new Span<float>(ref score));
    }

    private protected override void SaveAsOnnx(OnnxContext ctx, string[] outputs, string features) =>
        OnnxNetwork.SaveScore(ctx, this, LoaderSignature, outputs, features);

    static VersionInfo GetVersion() => new(
        modelSignature: "BNNETBIN",
        verWrittenCur: 0x00010001, // The first
        verReadableCur: 0x00010001,
        verWeCanReadBack: 0x00010001,
        loaderAssemblyName: typeof(BatchNormNetworkBinaryModelParameters).Assembly.GetName().Name,
        loaderSignature: LoaderSignature);
}
