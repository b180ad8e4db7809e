using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Onnx;

/// <summary>A graph next to the transformer that it was made from, on the same rows.</summary>
static class Exported
{
    /// <summary>The graph's values are the transformer's, however a runtime groups the operator's arithmetic.</summary>
    /// <param name="model">The graph.</param>
    /// <param name="transformer">What the graph was made from.</param>
    /// <param name="view">The rows.</param>
    /// <param name="digits">The error allowed, in the element type's last digit at max(1, the greatest value).</param>
    /// <param name="columns">The output columns that are compared.</param>
    public static void AssertSameValues(
        OnnxModel model, ITransformer transformer, IDataView view, double digits, params string[] columns)
    {
        IDataView output = transformer.Transform(view);
        Dictionary<string, Tensor> inputs = model.Inputs.ToDictionary(
            input => input.Name, input => Column(view, input.Name));
        foreach (Grouping grouping in Enum.GetValues<Grouping>())
        {
            Dictionary<string, Tensor> actual = OnnxEvaluator.Run(model, grouping, inputs);
            foreach (string name in columns)
            {
                Tensor expected = Column(output, name), tensor = actual[name + ".output"];
                Assert.AreEqual(expected.Element, tensor.Element, name);
                CollectionAssert.AreEqual(expected.Shape, tensor.Shape, name);
                double unit = tensor.Element == Element.Double ? Math.Pow(2, -52) : Math.Pow(2, -23);
                Agreement.Within(digits * unit, expected.Values, tensor.Values, $"{name}, {grouping}");
            }
        }
    }

    public static OnnxModel AssertSameValues(
        BatchNormalizationTransformer transformer, IDataView view, double digits, params string[] columns)
    {
        OnnxModel model = OnnxModel.Of(transformer, view);
        AssertSameValues(model, transformer, view, digits, columns.Length == 0 ? ["Y"] : columns);
        return model;
    }

    /// <summary>A column's rows, batch first, as ML.NET declares it to ONNX.</summary>
    static Tensor Column(IDataView view, string name)
    {
        DataViewType type = view.Schema[name].Type;
        int[] dimensions = type is VectorDataViewType { Size: > 1 } vector ? [.. vector.Dimensions] : [1];
        (Element element, double[] values) = type.GetItemType().RawType switch
        {
            var item when item == typeof(float) => (Element.Single, Values<float>(view, name)),
            var item when item == typeof(double) => (Element.Double, Values<double>(view, name)),
            var item when item == typeof(bool) =>
                (Element.Boolean, [.. view.GetColumn<bool>(name).Select(value => value ? 1.0 : 0)]),
            var item when item == typeof(uint) => (Element.UInt32, Values<uint>(view, name)),
            var item => throw new NotSupportedException($"Column '{name}' has items of type {item}."),
        };
        int rows = values.Length / dimensions.Aggregate((x, y) => x * y);
        return new Tensor(element, [rows, .. dimensions.Select(size => (long)size)], values);
    }

    static double[] Values<T>(IDataView view, string name) where T : struct, System.Numerics.INumber<T> =>
        view.Schema[name].Type is VectorDataViewType
            ? [.. view.GetColumn<T[]>(name).SelectMany(row => row).Select(double.CreateChecked)]
            : [.. view.GetColumn<T>(name).Select(double.CreateChecked)];
}
