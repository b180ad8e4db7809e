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

    // Named without a version, so that a later version of this library loads the file, and an earlier one can say
    // that the file is too new for it.
    static VersionInfo Version { get; } = new(
        modelSignature: "BATCHNRM",
        verWrittenCur: 0x00010001,
        verReadableCur: 0x00010001,
        verWeCanReadBack: 0x00010001,
        loaderAssemblyName: typeof(BatchNormalizationTransformer).Assembly.GetName().Name,
        loaderSignature: LoaderSignature);

    /// <inheritdoc/>
    protected override void SaveModel(ModelSaveContext ctx)
    {
        Host.CheckValue(ctx, nameof(ctx));
        ctx.CheckAtModel();
        ctx.SetVersionInfo(Version);
        ColumnFormat.Write(ctx, columns);
        SettingsFormat.Write(ctx, Settings);
        InputFormat.Write(ctx, columns);
    }

    internal static BatchNormalizationTransformer Create(IHostEnvironment env, ModelLoadContext ctx)
    {
        Contracts.CheckValue(env, nameof(env));
        env.CheckValue(ctx, nameof(ctx));
        ctx.CheckAtModel(Version);
        try
        {
            BatchNormalizationColumn[] columns = ColumnFormat.Read(env, ctx);
            BatchNormalizationEstimator.Options settings = SettingsFormat.Read(env, ctx);
            return new BatchNormalizationTransformer(env, settings, InputFormat.Read(env, ctx, columns));
        }
        catch (Exception error) when (error is InvalidDataException or EndOfStreamException or ArgumentException)
        {
            throw env.ExceptDecode(error, $"A batch normalization cannot be read: {error.Message}");
        }
    }

    static IRowMapper Create(IHostEnvironment env, ModelLoadContext ctx, DataViewSchema inputSchema) =>
        Create(env, ctx).MakeRowMapper(inputSchema);
}
