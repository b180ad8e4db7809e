using Microsoft.ML;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.BatchNorm.Persistence;
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

    static VersionInfo Version { get; } = NetworkEntry.FirstVersion("BNNETXFR", LoaderSignature);

    /// <inheritdoc/>
    protected override void SaveModel(ModelSaveContext ctx)
    {
        Host.CheckValue(ctx, nameof(ctx));
        ctx.CheckAtModel();
        ctx.SetVersionInfo(Version);
        // Version 1: the output's and the input's name (int32 each, in ML.NET's table of strings), and the network.
        ctx.SaveNonEmptyString(OutputColumnName);
        ctx.SaveNonEmptyString(InputColumnName);
        NetworkEntry.Write(ctx, Network, State);
    }

    internal static ApplyNetworkTransformer Create(IHostEnvironment env, ModelLoadContext ctx)
    {
        Contracts.CheckValue(env, nameof(env));
        env.CheckValue(ctx, nameof(ctx));
        ctx.CheckAtModel(Version);
        return NetworkEntry.Read(env, () => new ApplyNetworkTransformer(
            env, ctx.LoadNonEmptyString(), ctx.LoadNonEmptyString(), Network.Load(ctx.Reader.BaseStream)));
    }

    static IRowMapper Create(IHostEnvironment env, ModelLoadContext ctx, DataViewSchema inputSchema) =>
        Create(env, ctx).MakeRowMapper(inputSchema);
}
