using Microsoft.ML;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

[assembly: LoadableClass(
    typeof(ApplyNetworkTransformer), null, typeof(SignatureLoadModel), "Batch normalization network, layers",
    ApplyNetworkTransformer.LoaderSignature)]

[assembly: LoadableClass(
    typeof(IRowMapper), typeof(ApplyNetworkTransformer), null, typeof(SignatureLoadRowMapper),
    "Batch normalization network, layers", ApplyNetworkTransformer.LoaderSignature)]

namespace Microsoft.ML.Transforms;

public sealed partial class ApplyNetworkTransformer
{
    internal const string LoaderSignature = "BatchNormNetTransform";

    static VersionInfo Version { get; } = ModelEntry.FirstVersion("BNNETXFR", LoaderSignature);

    /// <inheritdoc/>
    protected override void SaveModel(ModelSaveContext ctx)
    {
        Host.CheckValue(ctx, nameof(ctx));
        ctx.CheckAtModel();
        ctx.SetVersionInfo(Version);
        ModelEntry.WriteLayers(ctx, OutputColumnName, InputColumnName, Network, State);
    }

    internal static ApplyNetworkTransformer Create(IHostEnvironment env, ModelLoadContext ctx)
    {
        Contracts.CheckValue(env, nameof(env));
        env.CheckValue(ctx, nameof(ctx));
        ctx.CheckAtModel(Version);
        (string output, string input, SavedNetwork saved) = ModelEntry.ReadLayers(env, ctx);
        return new ApplyNetworkTransformer(env, output, input, saved);
    }

    static IRowMapper Create(IHostEnvironment env, ModelLoadContext ctx, DataViewSchema inputSchema) =>
        Create(env, ctx).MakeRowMapper(inputSchema);
}
