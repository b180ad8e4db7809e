using Microsoft.ML;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Model.OnnxConverter;
using Microsoft.ML.Runtime;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;

[assembly: LoadableClass(
    typeof(ApplyNetworkTransformer), null, typeof(SignatureLoadModel), "Batch normalization network, layers",
    ApplyNetworkTransformer.LoaderSignature)]

[assembly: LoadableClass(
    typeof(IRowMapper), typeof(ApplyNetworkTransformer), null, typeof(SignatureLoadRowMapper),
    "Batch normalization network, layers", ApplyNetworkTransformer.LoaderSignature)]

namespace Microsoft.ML.Transforms;

/// <summary>
/// Applies the layers of a trained network to a column. There is nothing to fit: <c>Fit</c> checks the input's schema
/// and reads no row.
/// </summary>
/// <seealso cref="ApplyNetworkCatalog"/>
public sealed class ApplyNetworkEstimator : TrivialEstimator<ApplyNetworkTransformer>
{
    internal ApplyNetworkEstimator(IHostEnvironment env, ApplyNetworkTransformer transformer)
        : base(env.Register(nameof(ApplyNetworkEstimator)), transformer)
    {
    }

    /// <summary>The schema of the transformer's output.</summary>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The column is missing, or of a type that a network cannot take.
    /// </exception>
    public override SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        Host.CheckValue(inputSchema, nameof(inputSchema));
        Dictionary<string, SchemaShape.Column> columns = inputSchema.ToDictionary(column => column.Name);
        if (!inputSchema.TryFindColumn(Transformer.InputColumnName, out SchemaShape.Column input))
            throw Host.ExceptSchemaMismatch(nameof(inputSchema), "input", Transformer.InputColumnName);
        if (input.Kind != SchemaShape.Column.VectorKind.Vector || input.ItemType != NumberDataViewType.Single)
            throw Host.ExceptSchemaMismatch(
                nameof(inputSchema), "input", Transformer.InputColumnName, Transformer.Expected, input.GetTypeString());
        columns[Transformer.OutputColumnName] = new SchemaShape.Column(
            Transformer.OutputColumnName, SchemaShape.Column.VectorKind.Vector, NumberDataViewType.Single,
            isKey: false);
        return new SchemaShape(columns.Values);
    }
}

/// <summary>
/// Appends the outputs of a network for a column: a vector of <see cref="float"/> in the shape of the network's output.
/// It is immutable, and safe from any number of threads.
/// </summary>
public sealed class ApplyNetworkTransformer : OneToOneTransformerBase
{
    internal const string LoaderSignature = "BatchNormNetTransform";

    static VersionInfo Version { get; } = ModelEntry.FirstVersion("BNNETXFR", LoaderSignature);

    readonly NetworkModel model;

    internal ApplyNetworkTransformer(
        IHostEnvironment env, string outputColumnName, string inputColumnName, SavedNetwork saved)
        : base(
            Contracts.CheckRef(env, nameof(env)).Register(nameof(ApplyNetworkTransformer)),
            (outputColumnName, inputColumnName)) => model = new NetworkModel(saved.Network, saved.State);

    /// <summary>The network with the layers that are applied.</summary>
    public Network Network => model.Network;

    /// <summary>Their parameters.</summary>
    public NetworkState State => model.State;

    /// <summary>The name of the column that is appended.</summary>
    public string OutputColumnName => ColumnPairs[0].outputColumnName;

    /// <summary>The name of the column that goes in.</summary>
    public string InputColumnName => ColumnPairs[0].inputColumnName;

    internal IHost HostEnvironment => Host;

    /// <summary>The type that the input must have, for an error message.</summary>
    internal string Expected => ColumnShape.Describe(NumberDataViewType.Single, Network.InputShape);

    /// <inheritdoc/>
    protected override IRowMapper MakeRowMapper(DataViewSchema schema) => new Mapper(this, schema);

    /// <inheritdoc/>
    protected override void CheckInputColumn(DataViewSchema inputSchema, int col, int srcCol)
    {
        DataViewType given = inputSchema[srcCol].Type;
        if (given is not VectorDataViewType { Size: > 0 } type || type.ItemType != NumberDataViewType.Single)
            throw Host.ExceptSchemaMismatch(
                nameof(inputSchema), "input", InputColumnName, Expected, given.ToString());
        if (!ColumnShape.FitsNetwork(ColumnShape.Of(type), Network.InputShape))
            throw Host.ExceptSchemaMismatch(
                nameof(inputSchema), "input", InputColumnName, ColumnShape.Expected(type, Network.InputShape),
                given.ToString());
    }

    sealed class Mapper(ApplyNetworkTransformer parent, DataViewSchema schema)
        : OneToOneMapperBase(parent.Host.Register(nameof(Mapper)), parent, schema), ISaveAsOnnx
    {
        readonly VectorDataViewType type =
            new(NumberDataViewType.Single, parent.Network.OutputShape.Dimensions.ToArray());

        protected override DataViewSchema.DetachedColumn[] GetOutputColumnsCore() =>
            [new DataViewSchema.DetachedColumn(parent.OutputColumnName, type)];

        protected override Delegate MakeGetter(
            DataViewRow input, int iinfo, Func<int, bool> activeOutput, out Action? disposer)
        {
            disposer = null;
            ValueGetter<VBuffer<float>> source = input.GetGetter<VBuffer<float>>(InputSchema[ColMapNewToOld[iinfo]]);
            var row = new NetworkRow(Host, parent.model);
            VBuffer<float> features = default;
            return (ValueGetter<VBuffer<float>>)((ref VBuffer<float> value) =>
            {
                source(ref features);
                VBufferEditor<float> editor = VBufferEditor.Create(ref value, type.Size);
                row.Predict(features, editor.Values);
                value = editor.Commit();
            });
        }

        bool ICanSaveOnnx.CanSaveOnnx(OnnxContext ctx) => true;

        void ISaveAsOnnx.SaveAsOnnx(OnnxContext ctx)
        {
            Host.CheckValue(ctx, nameof(ctx));
            if (!ctx.ContainsColumn(parent.InputColumnName))
            {
                ctx.RemoveColumn(parent.OutputColumnName, removeVariable: false);
                return;
            }
            string input = ctx.GetVariableName(parent.InputColumnName);
            string output = ctx.AddIntermediateVariable(type, parent.OutputColumnName);
            var nodes = new OnnxNodes(ctx, LoaderSignature, parent.OutputColumnName);
            var network = new OnnxNetwork(nodes, parent.Network, parent.State);
            // ML.NET declares a vector of one slot without its dimensions.
            nodes.Add("Identity", [type.Size == 1 ? network.Save(input) : network.SaveLayers(input)], output);
        }
    }

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
