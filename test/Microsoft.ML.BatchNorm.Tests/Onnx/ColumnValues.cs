using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Microsoft.ML.BatchNorm.Tests.Onnx;

/// <summary>A column's values, row after row, to go into ONNX Runtime or to compare with what came out of it.</summary>
sealed class ColumnValues
{
    readonly string name;
    readonly Array values;
    readonly long[] dimensions;
    readonly int size;
    readonly double greatest;

    ColumnValues(string name, Array values, long[] dimensions)
    {
        (this.name, this.values, this.dimensions) = (name, values, dimensions);
        size = (int)dimensions.Aggregate((x, y) => x * y);
        greatest = Widen(values).Where(double.IsFinite).Select(Math.Abs).DefaultIfEmpty().Max();
    }

    public int Rows => values.Length / size;

    public static ColumnValues Of(IDataView view, string name)
    {
        DataViewType type = view.Schema[name].Type;
        // ML.NET declares a vector of one slot without its dimensions, like a scalar.
        long[] dimensions =
            type is VectorDataViewType { Size: > 1 } vector ? [.. vector.Dimensions.Select(d => (long)d)] : [1];
        return new ColumnValues(name, type.GetItemType().RawType switch
        {
            var item when item == typeof(float) => Values<float>(view, name),
            var item when item == typeof(double) => Values<double>(view, name),
            var item when item == typeof(uint) => Values<uint>(view, name),
            var item when item == typeof(bool) => Values<bool>(view, name),
            _ => Array.ConvertAll(Values<ReadOnlyMemory<char>>(view, name), text => text.ToString()),
        }, dimensions);
    }

    /// <summary>Rows as a tensor whose first dimension is the batch.</summary>
    public OrtValue Tensor(int first, int rows)
    {
        long[] shape = [rows, .. dimensions];
        return Slice(first, rows) switch
        {
            float[] numbers => OrtValue.CreateTensorValueFromMemory(numbers, shape),
            double[] numbers => OrtValue.CreateTensorValueFromMemory(numbers, shape),
            uint[] keys => OrtValue.CreateTensorValueFromMemory(keys, shape),
            bool[] flags => OrtValue.CreateTensorValueFromMemory(flags, shape),
            var texts => Texts((string[])texts, shape),
        };
    }

    /// <summary>
    /// Fails unless a tensor has the type, the dimensions and the values of the rows from <paramref name="first"/> on:
    /// numbers in floating point to a share of the column's greatest, anything else exactly.
    /// </summary>
    public void AssertSame(OrtValue tensor, int first, string what)
    {
        OrtTensorTypeAndShapeInfo info = tensor.GetTensorTypeAndShape();
        CollectionAssert.AreEqual(dimensions, info.Shape[1..], $"{name}, {what}");
        AssertSame(
            info.ElementDataType switch
            {
                TensorElementType.Float => tensor.GetTensorDataAsSpan<float>().ToArray(),
                TensorElementType.Double => tensor.GetTensorDataAsSpan<double>().ToArray(),
                TensorElementType.UInt32 => tensor.GetTensorDataAsSpan<uint>().ToArray(),
                TensorElementType.Bool => tensor.GetTensorDataAsSpan<bool>().ToArray(),
                TensorElementType.String => tensor.GetStringTensorAsArray(),
                var element => throw new NotSupportedException($"'{name}' came out as {element}."),
            },
            first, what);
    }

    /// <summary>The same for another view's column, whatever its dimensions.</summary>
    public void AssertSame(ColumnValues other, string what) => AssertSame(other.values, 0, what);

    void AssertSame(Array actual, int first, string what)
    {
        Array expected = Slice(first, actual.Length / size);
        Assert.AreEqual(expected.GetType(), actual.GetType(), name);
        Assert.HasCount(expected.Length, actual, name);
        if (expected is not (float[] or double[]))
        {
            CollectionAssert.AreEqual(expected, actual, $"{name}, {what}");
            return;
        }
        double bound = (expected is float[] ? 1e-6 : 1e-12) * greatest;
        double[] x = Widen(expected), y = Widen(actual);
        for (int i = 0; i < x.Length; i++)
        {
            Assert.IsTrue(
                x[i].Equals(y[i]) || Math.Abs(x[i] - y[i]) <= bound,
                $"{name}, {what}: row {first + i / size}, slot {i % size} is {y[i]:R}, expected {x[i]:R} within "
                + $"{bound:R}.");
        }
    }

    static T[] Values<T>(IDataView view, string name) => view.Schema[name].Type is VectorDataViewType
        ? [.. view.GetColumn<T[]>(name).SelectMany(row => row)]
        : [.. view.GetColumn<T>(name)];

    static double[] Widen(Array values) => values switch
    {
        float[] numbers => Array.ConvertAll(numbers, value => (double)value),
        double[] numbers => numbers,
        _ => [],
    };

    static OrtValue Texts(string[] texts, long[] shape)
    {
        OrtValue tensor = OrtValue.CreateTensorWithEmptyStrings(OrtAllocator.DefaultInstance, shape);
        for (int i = 0; i < texts.Length; i++)
            tensor.StringTensorSetElementAt(texts[i], i);
        return tensor;
    }

    Array Slice(int first, int rows)
    {
        Array slice = Array.CreateInstance(values.GetType().GetElementType()!, rows * size);
        Array.Copy(values, first * size, slice, 0, slice.Length);
        return slice;
    }
}
