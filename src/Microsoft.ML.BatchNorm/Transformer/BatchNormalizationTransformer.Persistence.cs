using Microsoft.ML;
using Microsoft.ML.BatchNorm.Persistence;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

[assembly: LoadableClass(
    typeof(BatchNormalizationTransformer), null, typeof(SignatureLoadModel), "Batch normalization",
    BatchNormalizationTransformer.LoaderSignature)]

[assembly: LoadableClass(
    typeof(IRowMapper), typeof(BatchNormalizationTransformer), null, typeof(SignatureLoadRowMapper),
    "Batch normalization", BatchNormalizationTransformer.LoaderSignature)]

namespace Microsoft.ML.Transforms;

public sealed partial class BatchNormalizationTransformer
{
    internal const string LoaderSignature = "BatchNormTransform";

    static VersionInfo Version { get; } = ModelEntry.FirstVersion("BATCHNRM", LoaderSignature);

    /// <inheritdoc/>
    protected override void SaveModel(ModelSaveContext ctx)
    {
        Host.CheckValue(ctx, nameof(ctx));
        ctx.CheckAtModel();
        ctx.SetVersionInfo(Version);
        ModelEntry.WriteColumns(ctx, Settings, columns);
    }

    internal static BatchNormalizationTransformer Create(IHostEnvironment env, ModelLoadContext ctx)
    {
        Contracts.CheckValue(env, nameof(env));
        env.CheckValue(ctx, nameof(ctx));
        ctx.CheckAtModel(Version);
        (BatchNormalizationEstimator.Options settings, BatchNormalizationColumn[] columns) = ModelEntry.ReadColumns(env, ctx);
        return new BatchNormalizationTransformer(env, settings, columns);
    }

    static IRowMapper Create(IHostEnvironment env, ModelLoadContext ctx, DataViewSchema inputSchema) =>
        Create(env, ctx).MakeRowMapper(inputSchema);
}
