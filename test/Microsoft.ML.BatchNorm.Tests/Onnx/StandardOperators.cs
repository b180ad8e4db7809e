namespace Microsoft.ML.BatchNorm.Tests.Onnx;

/// <summary>Operators of ONNX's standard domain.</summary>
static class StandardOperators
{
    public static Tensor BatchNormalization(OnnxNode node, Tensor[] x, Grouping grouping)
    {
        Tensor input = x[0];
        double[] scale = x[1].Values, shift = x[2].Values, mean = x[3].Values, variance = x[4].Values;
        foreach (Tensor tensor in x[1..])
        {
            Assert.AreEqual(input.Element, tensor.Element);
            CollectionAssert.AreEqual(new[] { input.Shape[1] }, tensor.Shape);
        }
        Func<double, double> round = input.Round;
        float epsilon = node.Single("epsilon");
        int channels = scale.Length, inner = (int)input.Shape[2..].Aggregate(1L, (a, b) => a * b);
        return input.With(input.Values.Select((value, i) =>
        {
            int c = i / inner % channels;
            double inverse = round(1 / round(Math.Sqrt(round(variance[c] + epsilon))));
            double factor = round(inverse * scale[c]);
            return grouping == Grouping.AsWritten
                ? round(round(round(round(value - mean[c]) * inverse) * scale[c]) + shift[c])
                : round(round(value * factor) + round(shift[c] - round(mean[c] * factor)));
        }));
    }

    /// <summary>Only the second operand is broadcast.</summary>
    public static Tensor Elementwise(Tensor x, Tensor y, Func<double, double, double> operation)
    {
        long[] shape = [.. Enumerable.Repeat(1L, x.Shape.Length - y.Shape.Length), .. y.Shape];
        long[] strides = Strides(shape);
        for (int d = 0; d < shape.Length; d++)
        {
            Assert.IsTrue(shape[d] == 1 || shape[d] == x.Shape[d], $"dimension {d} cannot be broadcast");
            if (shape[d] == 1)
                strides[d] = 0;
        }
        return x.With(x.Values.Select((value, i) => operation(value, y.Values[Dot(Index(x.Shape, i), strides)])));
    }

    public static Tensor Transpose(Tensor x, long[] order)
    {
        long[] strides = Strides(x.Shape);
        long[] shape = Array.ConvertAll(order, d => x.Shape[d]);
        long[] steps = Array.ConvertAll(order, d => strides[d]);
        return new Tensor(
            x.Element, shape, Enumerable.Range(0, x.Values.Length).Select(i => x.Values[Dot(Index(shape, i), steps)]));
    }

    public static Tensor Unsqueeze(Tensor x, long[] axes)
    {
        List<long> shape = [.. x.Shape];
        foreach (long axis in axes.Order())
            shape.Insert((int)axis, 1);
        return new Tensor(x.Element, [.. shape], x.Values);
    }

    static long[] Strides(long[] shape)
    {
        long[] strides = new long[shape.Length];
        long stride = 1;
        for (int d = shape.Length - 1; d >= 0; d--)
        {
            strides[d] = stride;
            stride *= shape[d];
        }
        return strides;
    }

    static long[] Index(long[] shape, long position)
    {
        long[] index = new long[shape.Length];
        for (int d = shape.Length - 1; d >= 0; d--)
            (position, index[d]) = Math.DivRem(position, shape[d]);
        return index;
    }

    static long Dot(long[] index, long[] strides)
    {
        long sum = 0;
        for (int d = 0; d < index.Length; d++)
            sum += index[d] * strides[d];
        return sum;
    }
}
