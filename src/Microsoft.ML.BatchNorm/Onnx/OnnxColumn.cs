using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Model.OnnxConverter;

namespace Microsoft.ML.Transforms;

/// <summary>
/// One column's part of an ONNX graph: <c>[Reshape] → [Cast] → [Transpose] → [Sub] → BatchNormalization →
/// [Transpose] → [Cast] → [Reshape] → [Where]</c>. Nodes in brackets are added only if they are needed.
/// </summary>
/// <remarks>
/// ML.NET declares a column as batch × dimensions, and the operator expects the channels on the second axis. A float
/// column is cast to double if its map does not fit in floats; a double column stays double. <c>Where</c> passes values
/// that are not finite through unchanged, if the layer ignores them or has a mask column.
/// </remarks>
sealed class OnnxColumn
{
    /// <summary>The version that introduced this form of the operator, which is valid up to version 14.</summary>
    public const int MinimumOpSet = 9;

    readonly OnnxNodes nodes;
    readonly BatchNormalizationColumn column;
    readonly OnnxNumbers numbers;
    readonly PrimitiveDataViewType item, inner;
    readonly bool passesNonFinite;
    readonly int[] declared, dimensions;
    readonly int axis;

    /// <param name="context">The graph, whose version was checked.</param>
    /// <param name="column">The layer.</param>
    /// <param name="type">The type of its input.</param>
    /// <param name="passesNonFinite">Whether values that are not finite pass unchanged.</param>
    public OnnxColumn(OnnxContext context, BatchNormalizationColumn column, DataViewType type, bool passesNonFinite)
    {
        this.passesNonFinite = passesNonFinite;
        nodes = new OnnxNodes(context, column.OutputColumnName);
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
        axis = dimensions.Length == 1 ? 0 : BatchNormalizationColumn.DimensionOf(column.Axis, dimensions.Length);
    }

    /// <summary>
    /// Reshapes a variable to the dimensions that ML.NET declares. Not every transform writes these: one-hot rows are
    /// [1, n], and a concatenated image is flat.
    /// </summary>
    public string InDeclaredShape(string input)
    {
        string shaped = nodes.Variable("Input");
        Reshape(input, shaped, declared, "InputShape");
        return shaped;
    }

    /// <summary>Adds the nodes that compute one variable from another.</summary>
    public void Save(string input, string output)
    {
        var steps = new List<Action<string, string>>();
        bool isPlain = !dimensions.SequenceEqual(declared);
        if (isPlain)
            steps.Add((x, y) => Reshape(x, y, dimensions, "FittedShape"));
        if (inner != item)
            steps.Add((x, y) => nodes.Add("Cast", [x], y).AddAttribute("to", inner.RawType));
        if (axis > 0)
            steps.Add((x, y) => nodes.Add("Transpose", [x], y).AddAttribute("perm", ChannelsToSecond()));
        if (numbers.IsFarFromZero)
            steps.Add((x, y) => nodes.Add("Sub", [x, Constant("Center", numbers.Mean, ChannelShape())], y));
        steps.Add(Normalize);
        if (axis > 0)
            steps.Add((x, y) => nodes.Add("Transpose", [x], y).AddAttribute("perm", ChannelsBack()));
        if (inner != item)
            steps.Add((x, y) => nodes.Add("Cast", [x], y).AddAttribute("to", item.RawType));
        if (isPlain)
            steps.Add((x, y) => Reshape(x, y, declared, "OutputShape"));
        if (passesNonFinite)
            steps.Add((x, y) => nodes.Add("Where", [IsNonFinite(input), input, x], y));

        string current = input;
        for (int i = 0; i < steps.Count; i++)
        {
            string next = i == steps.Count - 1 ? output : nodes.Variable($"Step{i + 1}");
            steps[i](current, next);
            current = next;
        }
    }

    /// <summary>x − x is NaN if x is not finite. Version 9 has no operator IsInf.</summary>
    string IsNonFinite(string x)
    {
        string difference = nodes.Variable("Difference"), result = nodes.Variable("IsNonFinite");
        nodes.Add("Sub", [x, x], difference);
        nodes.Add("IsNaN", [difference], result);
        return result;
    }

    void Normalize(string input, string output)
    {
        double[] mean = numbers.IsFarFromZero ? new double[numbers.Mean.Length] : numbers.Mean;
        long[] shape = [mean.Length];
        OnnxNode node = nodes.Add(
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
        nodes.Add("Reshape", [input, nodes.Constant(role, shape, shape.Length)], output);
    }

    string Constant(string role, double[] values, long[] shape) => inner == NumberDataViewType.Double
        ? nodes.Context.AddInitializer(values, shape, nodes.Name(role))
        : nodes.Constant(role, Array.ConvertAll(values, value => (float)value), shape);
}

/// <summary>
/// A column's map as the numbers of ONNX's operator, <c>(x − mean)/√(variance + epsilon)·scale + shift</c>. They have
/// the type of the operator's input, except for epsilon, which is always a float.
/// </summary>
/// <remarks>
/// Variance, epsilon and mean are the layer's, rounded. The scale corrects for the rounding of variance and epsilon,
/// and the shift for that of the mean, so that the operator is as exact as its type.
/// </remarks>
sealed class OnnxNumbers
{
    /// <summary>
    /// A mean that is more than this many standard deviations from zero is subtracted before the operator. Runtimes
    /// compute the operator as <c>x·a + b</c>, which loses n of a float's 24 bits if the mean is 2ⁿ deviations from zero.
    /// </summary>
    const double FarFromZero = 4;

    readonly bool inDouble;

    OnnxNumbers(BatchNormalizationColumn column, bool inDouble)
    {
        this.inDouble = inDouble;
        AffineMap map = column.Map;
        Epsilon = float.IsNormal((float)column.Options.EffectiveEpsilon) ? (float)column.Options.EffectiveEpsilon : 0;
        Mean = new double[map.Channels];
        Variance = new double[map.Channels];
        Scale = new double[map.Channels];
        Shift = new double[map.Channels];
        for (int c = 0; c < map.Channels; c++)
        {
            double variance = column.State.MovingVariance[c];
            IsFarFromZero |=
                Math.Abs(map.Mean[c]) > FarFromZero * Math.Sqrt(variance + column.Options.EffectiveEpsilon);
            Mean[c] = Round(map.Mean[c]);
            Shift[c] = Round(map.Shift[c] - (map.Mean[c] - Mean[c]) * map.Scale[c]);
            Variance[c] = IsNormal(Round(Round(variance) + Epsilon)) ? Round(variance) : 1;
            Scale[c] = Round(map.Scale[c] * Math.Sqrt(Round(Variance[c] + Epsilon)));
        }
    }

    /// <summary>The numbers in float, or null if floats cannot hold them, for example a deviation of 1e-42.</summary>
    public static OnnxNumbers? InSingle(BatchNormalizationColumn column)
    {
        var numbers = new OnnxNumbers(column, inDouble: false);
        foreach (double scale in column.Map.Scale)
        {
            if (scale != 0 && !numbers.IsNormal(scale))
                return null;
        }
        return numbers.IsFinite ? numbers : null;
    }

    public static OnnxNumbers InDouble(BatchNormalizationColumn column) => new(column, inDouble: true);

    /// <summary>Whether the mean is subtracted before the operator, whose own mean is then zero.</summary>
    public bool IsFarFromZero { get; }

    public float Epsilon { get; }

    public double[] Mean { get; }

    public double[] Variance { get; }

    public double[] Scale { get; }

    public double[] Shift { get; }

    bool IsFinite =>
        Array.TrueForAll(Mean, double.IsFinite) && Array.TrueForAll(Shift, double.IsFinite)
        && Array.TrueForAll(Scale, double.IsFinite);

    double Round(double value) => inDouble ? value : (float)value;

    bool IsNormal(double value) => inDouble ? double.IsNormal(value) : float.IsNormal((float)value);
}
