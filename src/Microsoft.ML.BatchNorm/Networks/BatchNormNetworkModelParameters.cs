using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Model.OnnxConverter;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.Trainers;

/// <summary>The network in the model of any of the network trainers.</summary>
public interface INetworkModelParameters
{
    /// <summary>The network, with the switches that it was trained with.</summary>
    Network Network { get; }

    /// <summary>What the network has learned.</summary>
    NetworkState State { get; }

    /// <summary>
    /// The training that gave this model, with its history, of which
    /// <see cref="TrainingReport.Of(BatchNorm.TrainingResult, string)"/> makes a report. It is not saved: null for a
    /// model that was loaded. As long as the model lives, the result keeps the optimizer's state and the last epoch's
    /// parameters in memory, with Adam about three times the size of the parameters.
    /// </summary>
    TrainingResult? TrainingResult { get; }
}

/// <summary>
/// A trained network as ML.NET's model parameters. They are immutable, and safe from any number of threads. Wherever
/// the network was trained, this process serves it without a native library.
/// </summary>
/// <typeparam name="TOutput">The type of a row's prediction.</typeparam>
public abstract class BatchNormNetworkModelParametersBase<TOutput>
    : ModelParametersBase<TOutput>, INetworkModelParameters, IValueMapper, ISingleCanSaveOnnx, ISchemaBindableMapper,
        IBindableCanSaveOnnx
{
    readonly VersionInfo version;
    readonly NetworkBinding binding;

    private protected BatchNormNetworkModelParametersBase(
        IHostEnvironment env, string name, PredictionKind kind, VersionInfo version, SavedNetwork saved)
        : base(env, name)
    {
        PredictionKind = kind;
        this.version = version;
        Predictor = new NetworkModel(saved.Network, saved.State);
        binding = new NetworkBinding(this, Network.InputShape, new SchemaBindablePredictorWrapper(this));
    }

    /// <inheritdoc/>
    protected sealed override PredictionKind PredictionKind { get; }

    /// <inheritdoc/>
    public Network Network => Predictor.Network;

    /// <inheritdoc/>
    public NetworkState State => Predictor.State;

    /// <inheritdoc/>
    public TrainingResult? TrainingResult { get; internal init; }

    internal IHost HostEnvironment => Host;

    private protected NetworkModel Predictor { get; }

    DataViewType IValueMapper.InputType =>
        new VectorDataViewType(NumberDataViewType.Single, Network.InputShape.Dimensions.ToArray());

    DataViewType IValueMapper.OutputType => OutputType;

    private protected virtual DataViewType OutputType => NumberDataViewType.Single;

    ValueMapper<TSource, TResult> IValueMapper.GetMapper<TSource, TResult>()
    {
        Host.Check(typeof(TSource) == typeof(VBuffer<float>), "The features are a vector of Single.");
        Host.Check(typeof(TResult) == typeof(TOutput), "The result is of another type.");
        return (ValueMapper<TSource, TResult>)Mapper(new NetworkRow(Host, Predictor));
    }

    bool ICanSaveOnnx.CanSaveOnnx(OnnxContext ctx) => true;

    bool ISingleCanSaveOnnx.SaveAsOnnx(OnnxContext ctx, string[] outputNames, string featureColumn)
    {
        Host.CheckValue(ctx, nameof(ctx));
        Host.CheckNonEmpty(outputNames, nameof(outputNames));
        Host.CheckNonEmpty(featureColumn, nameof(featureColumn));
        // ML.NET asks for the score, or for the predicted label and the score.
        string score = outputNames.Length > 1 ? outputNames[1] : outputNames[0];
        var nodes = new OnnxNodes(ctx, version.LoaderSignature, score);
        SaveAsOnnx(nodes, new OnnxNetwork(nodes, Network, State).Save(featureColumn), outputNames, score);
        return true;
    }

    ISchemaBoundMapper ISchemaBindableMapper.Bind(IHostEnvironment env, RoleMappedSchema schema) =>
        binding.Bind(env, schema);

    bool IBindableCanSaveOnnx.SaveAsOnnx(OnnxContext ctx, RoleMappedSchema schema, string[] outputNames) =>
        binding.SaveAsOnnx(ctx, schema, outputNames);

    /// <summary>A <see cref="ValueMapper{TSource, TDestination}"/> from features to the prediction.</summary>
    private protected virtual Delegate Mapper(NetworkRow row) => (ValueMapper<VBuffer<float>, float>)row.Score;

    /// <summary>Adds the nodes from the network's outputs to the columns that ML.NET asks for.</summary>
    private protected virtual void SaveAsOnnx(OnnxNodes nodes, string outputs, string[] columns, string score) =>
        nodes.Add("Identity", [outputs], score);

    /// <inheritdoc/>
    protected override void SaveCore(ModelSaveContext ctx)
    {
        base.SaveCore(ctx);
        ctx.SetVersionInfo(version);
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

/// <summary>
/// Predicts row by row for one cursor or prediction engine. Like these, it is for one thread at a time.
/// </summary>
/// <param name="host">Reports the errors.</param>
/// <param name="model">The model, which any number of threads may share.</param>
sealed class NetworkRow(IExceptionContext host, NetworkModel model)
{
    readonly int inputs = model.Network.InputShape.Size;
    readonly float[] dense = new float[model.Network.InputShape.Size];

    /// <summary>
    /// The network's outputs for a sparse or dense row; NaN if the network refuses a feature that is not finite.
    /// </summary>
    public void Predict(in VBuffer<float> features, Span<float> outputs)
    {
        if (features.Length != inputs)
            throw host.Except($"A row has {features.Length} features; the network has {inputs} inputs.");
        ReadOnlySpan<float> row = dense;
        if (features.IsDense)
            row = features.GetValues();
        else
            features.CopyTo(dense);
        if (!model.TryPredict(row, outputs))
            outputs.Fill(float.NaN);
    }

    /// <summary>The output of a network with one output.</summary>
    public void Score(in VBuffer<float> features, ref float score) => Predict(features, new Span<float>(ref score));
}

/// <summary>
/// Binds a network's model to the columns of a view, as ML.NET's own wrapper does. That wrapper compares only the size
/// of the features; this class also refuses a column of the network's size with other dimensions.
/// </summary>
/// <param name="model">The model, which ML.NET asks to bind itself.</param>
/// <param name="input">The shape of a row that goes into the network.</param>
/// <param name="wrapper">ML.NET's wrapper around the model.</param>
sealed class NetworkBinding(ISchemaBindableMapper model, TensorShape input, SchemaBindablePredictorWrapperBase wrapper)
{
    public ISchemaBoundMapper Bind(IHostEnvironment env, RoleMappedSchema schema)
    {
        Contracts.CheckValue(env, nameof(env));
        env.CheckValue(schema, nameof(schema));
        if (schema.Feature is { Type: VectorDataViewType { Size: > 0 } type } feature && type.Size == input.Size
            && !ColumnShape.FitsNetwork(ColumnShape.Of(type), input))
        {
            throw env.ExceptSchemaMismatch(
                "inputSchema", "feature", feature.Name, ColumnShape.Expected(type, input), type.ToString());
        }
        return new Bound((ISchemaBoundRowMapper)((ISchemaBindableMapper)wrapper).Bind(env, schema), model);
    }

    public bool SaveAsOnnx(OnnxContext ctx, RoleMappedSchema schema, string[] outputNames) =>
        ((IBindableCanSaveOnnx)wrapper).SaveAsOnnx(ctx, schema, outputNames);

    /// <summary>The wrapper's mapper, but bound to the model, which ML.NET binds again to other data.</summary>
    sealed class Bound(ISchemaBoundRowMapper bound, ISchemaBindableMapper model) : ISchemaBoundRowMapper
    {
        public ISchemaBindableMapper Bindable => model;

        public RoleMappedSchema InputRoleMappedSchema => bound.InputRoleMappedSchema;

        public DataViewSchema InputSchema => bound.InputSchema;

        public DataViewSchema OutputSchema => bound.OutputSchema;

        public IEnumerable<KeyValuePair<RoleMappedSchema.ColumnRole, string>> GetInputColumnRoles() =>
            bound.GetInputColumnRoles();

        public IEnumerable<DataViewSchema.Column> GetDependenciesForNewColumns(
            IEnumerable<DataViewSchema.Column> dependingColumns) =>
            bound.GetDependenciesForNewColumns(dependingColumns);

        public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns) =>
            bound.GetRow(input, activeColumns);
    }
}
