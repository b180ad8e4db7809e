using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.BatchNorm.Import;

// The parameters from the tensors of the file.
sealed partial class GraphImport
{
    readonly Dictionary<(OnnxTensor Tensor, string View), float[]> floats = [];

    /// <summary>
    /// The bytes that parameters may still take. Without a limit, a small file could read one tensor in many ways, each
    /// of which takes memory of its own.
    /// </summary>
    long room;

    /// <summary>The number that was meant by a float: 0.9 by the float next to it.</summary>
    static double Exact(float value) =>
        double.Parse(value.ToString("R", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);

    static LayerState StateOf(float[] kernel, float[]? bias) => LayerState.OfTensors(
        bias is null ? [new("kernel", kernel)] : [new("kernel", kernel), new("bias", bias)]);

    /// <summary>The values of a constant as floats. They must not be changed: other layers may have the same.</summary>
    float[] Floats(Constant constant)
    {
        string view = constant.Order is { } order ? string.Join(' ', [.. order, .. constant.Dimensions]) : "";
        var key = (constant.Tensor, view);
        if (floats.TryGetValue(key, out float[]? values))
            return values;
        Take(sizeof(float) * (long)constant.Count);
        values = constant.Tensor.ToFloats();
        if (constant.Order is not null)
            values = InOrder(values, constant.Dimensions, constant.Order.Value);
        return floats[key] = values;
    }

    double[] Doubles(Constant constant)
    {
        Take(sizeof(double) * (long)constant.Count);
        double[] values = constant.Tensor.ToDoubles();
        return constant.Order is { } order ? InOrder(values, constant.Dimensions, order) : values;
    }

    /// <summary>Whole numbers that say something of dimensions.</summary>
    long[] Integers(Constant constant)
    {
        // Many nodes may read one constant, so none may be large. A Pad has two numbers for each dimension.
        if (constant.Count > 2 * OnnxTensor.MostDimensions)
            throw node.Invalid($"'{constant.Name}' has {constant.Count} values, more than any dimensions need");
        return constant.Tensor.ToIntegers() ?? throw node.Invalid($"'{constant.Name}' has no whole numbers");
    }

    /// <summary>The one number of an input; null if it is computed.</summary>
    double? Number(int input, double otherwise) => In(input) switch
    {
        null => otherwise,
        Constant { Count: 1 } constant => Doubles(constant)[0],
        Constant constant => throw node.Invalid($"'{constant.Name}' has {constant.Count} values instead of one"),
        _ => null,
    };

    void Take(long bytes)
    {
        room -= bytes;
        if (room < 0)
            throw new InvalidDataException(
                $"The parameters of the network would take more than {BytesPerByte} times the memory of the file.");
    }

    /// <summary>Values in row-major order of other dimensions.</summary>
    /// <param name="values">The values in row-major order of their own dimensions.</param>
    /// <param name="dimensions">The dimensions that are wanted.</param>
    /// <param name="order">For each of these, which one of the values' own it is.</param>
    static T[] InOrder<T>(T[] values, ImmutableArray<int> dimensions, ImmutableArray<int> order)
    {
        int rank = dimensions.Length;
        // How far apart two values are that follow one another along a wanted dimension.
        int[] steps = new int[rank];
        for (int own = rank - 1, step = 1; own >= 0; own--)
        {
            int axis = order.IndexOf(own);
            steps[axis] = step;
            step *= dimensions[axis];
        }
        var ordered = new T[values.Length];
        int[] index = new int[rank];
        for (int i = 0, from = 0; i < ordered.Length; i++)
        {
            ordered[i] = values[from];
            for (int axis = rank - 1; axis >= 0; axis--)
            {
                from += steps[axis];
                if (++index[axis] < dimensions[axis])
                    break;
                from -= steps[axis] * index[axis];
                index[axis] = 0;
            }
        }
        return ordered;
    }

    /// <summary>
    /// A kernel for an image that was transposed before it was flattened, as one for the image as it is in memory.
    /// </summary>
    float[] MovedBack(float[] kernel, int units, ImmutableArray<int> shape, ImmutableArray<int> order)
    {
        int inputs = kernel.Length / units;
        Take(sizeof(float) * (long)kernel.Length + sizeof(int) * (long)inputs);
        int[] places = InOrder<int>(
            [.. Enumerable.Range(0, inputs)], [.. order[1..].Select(axis => shape[axis - 1])],
            [.. order[1..].Select(axis => axis - 1)]);
        float[] moved = new float[kernel.Length];
        for (int unit = 0; unit < units; unit++)
        {
            for (int i = 0; i < inputs; i++)
                moved[unit * inputs + places[i]] = kernel[unit * inputs + i];
        }
        return moved;
    }

    float[] Scaled(float[] values, float factor)
    {
        if (factor == 1)
            return values;
        Take(sizeof(float) * (long)values.Length);
        return Array.ConvertAll(values, value => value * factor);
    }

    T[] Repeated<T>(T[] values, int count)
    {
        if (values.Length == count)
            return values;
        Take(Unsafe.SizeOf<T>() * (long)count);
        return [.. Enumerable.Repeat(values[0], count)];
    }
}
