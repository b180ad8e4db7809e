using Microsoft.ML.BatchNorm;
using Microsoft.ML.BatchNorm.Persistence;
using Microsoft.ML.Data;
using Microsoft.ML.Model.OnnxConverter;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Trainers;

/// <summary>
/// A trained network as ML.NET's model parameters: immutable, safe from any number of threads, and served by this
/// process alone, wherever it was trained.
/// </summary>
/// <typeparam name="TOutput">What it gives for a row.</typeparam>
public abstract class BatchNormNetworkModelParametersBase<TOutput>
    : ModelParametersBase<TOutput>, INetworkModelParameters, IValueMapper, ISingleCanSaveOnnx, ISchemaBindableMapper,
        IBindableCanSaveOnnx
{
    readonly NetworkBinding binding;

    private protected BatchNormNetworkModelParametersBase(
        IHostEnvironment env, string name, SavedNetwork saved)
        : base(env, name)
    {
        Predictor = new NetworkModel(saved.Network, saved.State);
        binding = new NetworkBinding(this, Network.InputShape, new SchemaBindablePredictorWrapper(this));
    }

    /// <inheritdoc/>
    public Network Network => Predictor.Network;

    /// <inheritdoc/>
    public NetworkState State => Predictor.State;

    private protected NetworkModel Predictor { get; }

    DataViewType IValueMapper.InputType =>
        new VectorDataViewType(NumberDataViewType.Single, Network.InputShape.Dimensions.ToArray());

    DataViewType IValueMapper.OutputType => OutputType;

    private protected abstract DataViewType OutputType { get; }

    private protected abstract VersionInfo Version { get; }

    ValueMapper<TSource, TResult> IValueMapper.GetMapper<TSource, TResult>()
    {
        Host.Check(typeof(TSource) == typeof(VBuffer<float>), "The features are a vector of Single.");
        Host.Check(typeof(TResult) == typeof(TOutput), "The result is of another type.");
        return (ValueMapper<TSource, TResult>)(Delegate)Mapper();
    }

    bool ICanSaveOnnx.CanSaveOnnx(OnnxContext ctx) => true;

    bool ISingleCanSaveOnnx.SaveAsOnnx(OnnxContext ctx, string[] outputNames, string featureColumn)
    {
        Host.CheckValue(ctx, nameof(ctx));
        Host.CheckNonEmpty(outputNames, nameof(outputNames));
        Host.CheckNonEmpty(featureColumn, nameof(featureColumn));
        SaveAsOnnx(ctx, outputNames, featureColumn);
        return true;
    }

    ISchemaBoundMapper ISchemaBindableMapper.Bind(IHostEnvironment env, RoleMappedSchema schema) =>
        binding.Bind(env, schema);

    bool IBindableCanSaveOnnx.SaveAsOnnx(OnnxContext ctx, RoleMappedSchema schema, string[] outputNames) =>
        binding.SaveAsOnnx(ctx, schema, outputNames);

    private protected abstract ValueMapper<VBuffer<float>, TOutput> Mapper();

    private protected abstract void SaveAsOnnx(OnnxContext ctx, string[] outputs, string features);

    /// <inheritdoc/>
    protected override void SaveCore(ModelSaveContext ctx)
    {
        base.SaveCore(ctx);
        ctx.SetVersionInfo(Version);
        ModelEntry.Write(ctx, Network, State);
    }

    private protected static SavedNetwork Load(IHostEnvironment env, ModelLoadContext ctx, VersionInfo version)
    {
        Contracts.CheckValue(env, nameof(env));
        env.CheckValue(ctx, nameof(ctx));
        ctx.CheckAtModel(version);
        return ModelEntry.ReadModel(env, ctx);
    }
}
