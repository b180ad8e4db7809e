namespace Microsoft.ML.BatchNorm.Tests.Onnx;

/// <summary>ONNX's numbers of the element types that occur here.</summary>
enum Element
{
    Single = 1,
    Int64 = 7,
    Boolean = 9,
    Double = 11,
    UInt32 = 12,
}

/// <summary>Values of one type and a shape, row by row. The values are held in double, rounded to the type.</summary>
sealed class Tensor
{
    public Tensor(Element element, long[] shape, IEnumerable<double> values)
    {
        (Element, Shape) = (element, shape);
        Values = [.. values.Select(Round)];
        Assert.HasCount((int)shape.Aggregate(1L, (x, y) => x * y), Values, $"shape [{string.Join(", ", shape)}]");
    }

    public Element Element { get; }

    public long[] Shape { get; }

    public double[] Values { get; }

    public double Round(double value) => Element switch
    {
        Element.Single => (float)value,
        Element.Double => value,
        Element.Boolean => value != 0 ? 1 : 0,
        _ => Math.Truncate(value),
    };

    public Tensor With(IEnumerable<double> values) => new(Element, Shape, values);
}
