using Microsoft.ML;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.BatchNorm.Persistence;
using Microsoft.ML.Data;
using Microsoft.ML.Model.OnnxConverter;
using Microsoft.ML.Runtime;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;

[assembly: LoadableClass(
    typeof(BatchNormNetworkRegressionModelParameters), null, typeof(SignatureLoadModel),
    "Batch normalization network, regression", BatchNormNetworkRegressionModelParameters.LoaderSignature)]

namespace Microsoft.ML.Trainers;

/// <summary>A network whose one output is the predicted value.</summary>
public sealed class BatchNormNetworkRegressionModelParameters : BatchNormNetworkModelParametersBase<float>
{
    internal const string LoaderSignature = "BatchNormNetRegression";

    static readonly VersionInfo version = ModelEntry.FirstVersion("BNNETREG", LoaderSignature);

    internal BatchNormNetworkRegressionModelParameters(IHostEnvironment env, SavedNetwork saved)
        : base(env, nameof(BatchNormNetworkRegressionModelParameters), saved)
    {
    }

    /// <inheritdoc/>
    protected override PredictionKind PredictionKind => PredictionKind.Regression;

    private protected override DataViewType OutputType => NumberDataViewType.Single;

    private protected override VersionInfo Version => version;

    internal static BatchNormNetworkRegressionModelParameters Create(IHostEnvironment env, ModelLoadContext ctx) =>
        new(env, Load(env, ctx, version));

    private protected override ValueMapper<VBuffer<float>, float> Mapper() => new NetworkRow(Host, Predictor).Score;

    private protected override void SaveAsOnnx(OnnxContext ctx, string[] outputs, string features) =>
        OnnxNetwork.SaveScore(ctx, this, LoaderSignature, outputs, features);
}
