using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.Import;

// Constants that scale values or are added to them.
sealed partial class GraphImport
{
    /// <summary>The most names of constants that a scale from several nodes keeps; they give it a path.</summary>
    const int MostNames = 8;

    Operand Times(Operand x, double factor) => x is Value value && factor != 1 ? Scale(value, factor, 0) : x;

    /// <summary>x·scale + shift.</summary>
    Operand Scale(Value x, double scale, double shift) => Scaled(x, 0, [scale], [shift], "");

    /// <summary>A value scaled by a constant or added to it.</summary>
    /// <param name="x">The value.</param>
    /// <param name="constant">The constant.</param>
    /// <param name="map">Gives factor and summand for a number of the constant.</param>
    Operand Scaled(Value x, Constant constant, Func<double, (double Scale, double Shift)> map)
    {
        int missing = x.Rank - constant.Dimensions.Length;
        int[] axes = [.. Enumerable.Range(0, constant.Dimensions.Length).Where(i => constant.Dimensions[i] != 1)];
        if (missing < 0 || axes.Length > 1
            || (axes is [var only] && (x.Order[only + missing] == 0 || x[only + missing] != constant.Dimensions[only])))
            return Fail("its constant is not one number, and not one number for each channel");
        (double Scale, double Shift)[] numbers = Array.ConvertAll(Doubles(constant), value => map(value));
        return Scaled(
            x, axes is [var axis] ? x.Order[axis + missing] : 0, Array.ConvertAll(numbers, pair => pair.Scale),
            Array.ConvertAll(numbers, pair => pair.Shift), constant.Name);
    }

    Operand Scaled(Value x, int axis, double[] scale, double[] shift, string name)
    {
        if ((axis == 0 ? Unshaped(x) : Settle(x)) is not { } input || (axis > input.Shape.Rank))
            return Fail("it reads values whose shape has changed");
        if (scale.Concat(shift).Any(value => !double.IsFinite(value)))
            throw node.Invalid("a constant is not finite");
        ScaleAndShift map = ScaleAndShift.Identity.Then(axis, scale, shift)!;
        if (!x.IsShared && axis <= 1 && map.IsShift && WithBias(input, shift, name) is { } biased)
            return x.With(biased);
        var before = input as ScaleTerm;
        return before?.Map.Then(axis, scale, shift) is { } both
            ? Scaled(x.With(before.Inputs[0]), both, [.. before.Tensors, name])
            : Scaled(x.With(input), map, [name]);
    }

    Value Scaled(Value x, ScaleAndShift map, ImmutableArray<string> tensors)
    {
        if (map.IsIdentity)
            return x;
        Take(3 * sizeof(double) * (long)map.Mean.Length);
        return x.With(new ScaleTerm(
            node, terms++, x.Term, map, [.. tensors.Where(tensor => tensor.Length > 0).Take(MostNames)]));
    }

    /// <summary>A layer with what is added to it as its bias; null if it cannot be that.</summary>
    LayerTerm? WithBias(Term term, double[] shift, string name)
    {
        if (term is not LayerTerm { State: { } state } product)
            return null;
        Layer? layer = product.Layer switch
        {
            DenseLayer { UseBias: false } dense => dense with { UseBias = true },
            Conv2DLayer { UseBias: false } convolution => convolution with { UseBias = true },
            _ => null,
        };
        if (layer is null)
            return null;
        float[] bias = Repeated(Array.ConvertAll(shift, value => (float)value), product.Shape[0]);
        return Layer(
            layer, product.Node, product.Inputs, StateOf(state.ArrayOf<float>("kernel")!, bias),
            name.Length > 0 ? product.Tensors.Add(name) : product.Tensors);
    }

    /// <summary>
    /// Constants that scale and shift, as a batch normalization that is frozen: its numbers are these constants, and
    /// training leaves them.
    /// </summary>
    (Layer Layer, LayerState State) Frozen(ScaleTerm term)
    {
        int axis = Math.Max(term.Map.Axis, 1), channels = term.Shape[axis - 1];
        BatchNormalizationState state;
        try
        {
            state = new BatchNormalizationState(
                Repeated(term.Map.Mean, channels), Repeated([1.0], channels),
                Repeated(Array.ConvertAll(term.Map.Scale, value => (float)value), channels),
                Repeated(Array.ConvertAll(term.Map.Shift, value => (float)value), channels));
        }
        catch (ArgumentException error)
        {
            throw term.Node!.Invalid(Check.Text(error).TrimEnd('.'));
        }
        return (
            new BatchNormalizationLayer(Normalization with
            {
                Axis = axis, Epsilon = 0, Trainable = false,
            }),
            new LayerState(state));
    }
}
