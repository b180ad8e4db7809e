using Microsoft.ML.Model.OnnxConverter;

namespace Microsoft.ML.Transforms;

/// <summary>Adds nodes of the standard operators to a graph, with variables that take no column's place.</summary>
sealed class OnnxNodes
{
    readonly string owner;

    /// <param name="context">The graph.</param>
    /// <param name="signature">Who adds, for ML.NET's error where the version that was asked for is too low.</param>
    /// <param name="owner">A column that the variables' names begin with.</param>
    public OnnxNodes(OnnxContext context, string signature, string owner)
    {
        context.CheckOpSetVersion(OnnxColumn.MinimumOpSet, signature);
        Context = context;
        this.owner = owner;
    }

    public OnnxContext Context { get; }

    /// <summary>A new variable whose shape the runtime finds out.</summary>
    public string Variable(string role) => Context.AddIntermediateVariable(null, Name(role), skip: true);

    public string Constant(string role, ReadOnlySpan<float> values, params long[] shape) =>
        Context.AddInitializer(values.ToArray(), shape, Name(role));

    public string Constant(string role, long[] values, params long[] shape) =>
        Context.AddInitializer(values, shape, Name(role));

    public OnnxNode Add(string type, string[] inputs, string output) =>
        // The standard operators' domain is the empty one; ML.NET's default is that of the machine learning operators.
        Context.CreateNode(type, inputs, [output], Context.GetNodeName(type), domain: "");

    /// <summary>A name that no column has: what is added under a column's name takes its place.</summary>
    public string Name(string role)
    {
        string name = $"{owner}.{role}";
        while (Context.ContainsColumn(name))
            name += "'";
        return name;
    }
}
