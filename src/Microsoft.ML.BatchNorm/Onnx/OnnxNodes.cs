using Microsoft.ML.Model.OnnxConverter;

namespace Microsoft.ML.Transforms;

/// <summary>Adds nodes of the standard operators to a graph, with variables whose names no column has.</summary>
sealed class OnnxNodes
{
    readonly string owner;

    /// <summary>Throws ML.NET's error if the version that was asked for is too low.</summary>
    /// <param name="context">The graph.</param>
    /// <param name="signature">The component that adds the nodes, for the error.</param>
    /// <param name="owner">A column name; the names of the variables begin with it.</param>
    public OnnxNodes(OnnxContext context, string signature, string owner) : this(context, owner) =>
        context.CheckOpSetVersion(OnnxColumn.MinimumOpSet, signature);

    /// <summary>For a graph whose version was checked.</summary>
    public OnnxNodes(OnnxContext context, string owner) => (Context, this.owner) = (context, owner);

    public OnnxContext Context { get; }

    /// <summary>A new variable without a declared shape; the runtime infers it.</summary>
    public string Variable(string role) => Context.AddIntermediateVariable(null, Name(role), skip: true);

    public string Constant(string role, ReadOnlySpan<float> values, params long[] shape) =>
        Context.AddInitializer(values.ToArray(), shape, Name(role));

    public string Constant(string role, long[] values, params long[] shape) =>
        Context.AddInitializer(values, shape, Name(role));

    public OnnxNode Add(string type, string[] inputs, string output) =>
        // The domain of the standard operators is empty; ML.NET's default is that of the machine learning operators.
        Context.CreateNode(type, inputs, [output], Context.GetNodeName(type), domain: "");

    /// <summary>
    /// A name that no column has. ML.NET looks up variables by column names, and a variable that is added under a
    /// column's name replaces that column.
    /// </summary>
    public string Name(string role)
    {
        string name = $"{owner}.{role}";
        while (Context.ContainsColumn(name))
            name += "'";
        return name;
    }
}
