using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Model.OnnxConverter;

namespace Microsoft.ML.Transforms;

/// <summary>
/// One column's part of an ONNX graph: <c>[Reshape] → [Cast] → [Transpose] → [Sub] → BatchNormalization →
/// [Transpose] → [Cast] → [Reshape] → [Where]</c>, where those in brackets are there only when they are needed.
/// </summary>
/// <remarks>
/// ML.NET declares a column as batch × dimensions, and the operator wants the channels on the second axis. The casts
/// are for a float column whose numbers no float holds. A double column stays double. A layer that ignores values that
/// are not finite, or has a mask column, lets them through by <c>Where</c>.
/// </remarks>
sealed class OnnxColumn
{
    /// <summary>The version that gave the operator the form that it has here, which held until version 14.</summary>
    public const int MinimumOpSet = 9;

    readonly OnnxContext context;
    readonly BatchNormalizationColumn column;
    readonly OnnxNumbers numbers;
    readonly PrimitiveDataViewType item, inner;
    readonly bool passesNonFinite;
    readonly int[] declared, dimensions;
    readonly int axis;

    /// <param name="context">The graph.</param>
    /// <param name="column">The layer.</param>
    /// <param name="type">The type of its input.</param>
    /// <param name="passesNonFinite">Whether values that are not finite come out as they went in.</param>
    public OnnxColumn(OnnxContext context, BatchNormalizationColumn column, DataViewType type, bool passesNonFinite)
    {
        this.passesNonFinite = passesNonFinite;
        this.context = context;
        this.column = column;
        item = (PrimitiveDataViewType)type.GetItemType();
        OnnxNumbers? single = item == NumberDataViewType.Single ? OnnxNumbers.InSingle(column) : null;
        numbers = single ?? OnnxNumbers.InDouble(column);
        inner = single is null ? NumberDataViewType.Double : item;
        // A vector of one slot is declared without its dimensions, like a scalar.
        declared = type is VectorDataViewType { Size: > 1 } vector ? [.. vector.Dimensions] : [1];
        dimensions = column.Input is { Shape: { Size: > 1 } fitted } && fitted.Size == ColumnShape.Of(type).Size
            ? fitted.Dimensions.ToArray()
            : declared;
        axis = dimensions.Length == 1 ? 0 : column.Axis < 0 ? column.Axis + dimensions.Length : column.Axis - 1;
    }

    /// <summary>
    /// A variable in the dimensions that ML.NET declares. Not every transform's has them: one-hot rows are [1, n], and
    /// a concatenated image is flat.
    /// </summary>
    public string InDeclaredShape(string input)
    {
        string shaped = Variable("Input");
        Reshape(input, shaped, declared, "InputShape");
        return shaped;
    }

    /// <summary>Adds the nodes that lead from one variable to another.</summary>
    public void Save(string input, string output)
    {
        var steps = new List<Action<string, string>>();
        bool isPlain = !dimensions.SequenceEqual(declared);
        if (isPlain)
            steps.Add((x, y) => Reshape(x, y, dimensions, "FittedShape"));
        if (inner != item)
            steps.Add((x, y) => Node("Cast", [x], y).AddAttribute("to", inner.RawType));
        if (axis > 0)
            steps.Add((x, y) => Node("Transpose", [x], y).AddAttribute("perm", ChannelsToSecond()));
        if (numbers.IsFarFromZero)
            steps.Add((x, y) => Node("Sub", [x, Constant("Center", numbers.Mean, ChannelShape())], y));
        steps.Add(Normalize);
        if (axis > 0)
            steps.Add((x, y) => Node("Transpose", [x], y).AddAttribute("perm", ChannelsBack()));
        if (inner != item)
            steps.Add((x, y) => Node("Cast", [x], y).AddAttribute("to", item.RawType));
        if (isPlain)
            steps.Add((x, y) => Reshape(x, y, declared, "OutputShape"));
        if (passesNonFinite)
            steps.Add((x, y) => Node("Where", [IsNonFinite(input), input, x], y));

        string current = input;
        for (int i = 0; i < steps.Count; i++)
        {
            string next = i == steps.Count - 1 ? output : Variable($"Step{i + 1}");
            steps[i](current, next);
            current = next;
        }
    }

    /// <summary>x − x is NaN where x is not finite. The operator IsInf is not there before version 10.</summary>
    string IsNonFinite(string x)
    {
        string difference = Variable("Difference"), result = Variable("IsNonFinite");
        Node("Sub", [x, x], difference);
        Node("IsNaN", [difference], result);
        return result;
    }

    void Normalize(string input, string output)
    {
        double[] mean = numbers.IsFarFromZero ? new double[numbers.Mean.Length] : numbers.Mean;
        long[] shape = [mean.Length];
        OnnxNode node = Node(
            "BatchNormalization",
            [
                input, Constant("Scale", numbers.Scale, shape), Constant("B", numbers.Shift, shape),
                Constant("Mean", mean, shape), Constant("Var", numbers.Variance, shape),
            ],
            output);
        node.AddAttribute("epsilon", numbers.Epsilon);
        if (column.Options.EffectiveMovingStatistics == MovingStatistics.Exponential)
            node.AddAttribute("momentum", column.Options.EffectiveMomentum);
    }

    /// <summary>[N, H, W, C] to [N, C, H, W].</summary>
    long[] ChannelsToSecond()
    {
        List<long> order = [.. Enumerable.Range(0, dimensions.Length + 1)];
        order.RemoveAt(axis + 1);
        order.Insert(1, axis + 1);
        return [.. order];
    }

    /// <summary>[N, C, H, W] to [N, H, W, C].</summary>
    long[] ChannelsBack()
    {
        List<long> order = [.. Enumerable.Range(0, dimensions.Length + 1)];
        order.RemoveAt(1);
        order.Insert(axis + 1, 1);
        return [.. order];
    }

    /// <summary>[C, 1, 1], which broadcasts over [N, C, H, W].</summary>
    long[] ChannelShape() => [numbers.Mean.Length, .. Enumerable.Repeat(1L, dimensions.Length - 1)];

    void Reshape(string input, string output, int[] row, string role)
    {
        long[] shape = [-1, .. row.Select(size => (long)size)];
        Node("Reshape", [input, context.AddInitializer(shape, [shape.Length], Name(role))], output);
    }

    OnnxNode Node(string type, string[] inputs, string output) =>
        // The standard operators' domain is the empty one; ML.NET's default is that of the machine learning operators.
        context.CreateNode(type, inputs, [output], context.GetNodeName(type), domain: "");

    string Variable(string role) => context.AddIntermediateVariable(null, Name(role), skip: true);

    string Constant(string role, double[] values, long[] shape) => inner == NumberDataViewType.Double
        ? context.AddInitializer(values, shape, Name(role))
        : context.AddInitializer(Array.ConvertAll(values, value => (float)value), shape, Name(role));

    /// <summary>
    /// A name that no column has. ML.NET looks up a column's variable by the column's name, and what is added under
    /// that name takes the column's place.
    /// </summary>
    string Name(string role)
    {
        string name = $"{column.OutputColumnName}.{role}";
        while (context.ContainsColumn(name))
            name += "'";
        return name;
    }
}
