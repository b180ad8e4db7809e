using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.Import;

// Windows over images: pooling, means and padding.
sealed partial class GraphImport
{
    /// <summary>The largest window whose correction by factors is looked for.</summary>
    const int MostCorrected = 32;

    /// <summary>What one trial of such a correction counts for, of the memory that a file may take.</summary>
    const int BytesOfTrial = 64;

    /// <summary>Reads a window, with the padding of a Pad before it.</summary>
    /// <param name="x">What the node reads.</param>
    /// <param name="size">Height and width of the window.</param>
    /// <param name="isPadded">Whether the window may pad with this number itself.</param>
    /// <param name="image">The value without the padding.</param>
    /// <param name="window">The window.</param>
    /// <returns>Null, or why the window has no equivalent.</returns>
    string? WindowOn(Value x, Size2D size, Predicate<double> isPadded, out Value image, out Window2D window)
    {
        (image, window) = (x, default);
        Padding2D before = default;
        if (x.AsPlain() is not { Shape.Length: 3 } plain)
            return "it does not read images of channels, height and width";
        image = plain;
        if (x.Term is PartTerm { Kind: PartKind.Pad } pad && isPadded(pad.Fill)
            && plain.Shape.AsSpan().SequenceEqual(pad.Shape.Dimensions))
            (image, before) = (pad.Input, pad.Padding);
        Size2D stride = Pair("strides", size), dilation = Pair("dilations", size);
        TensorShape padded = ShapeFrom(plain.Shape);
        var same = new Window2D(size, stride, Padding2D.Same, dilation);
        window = node.Text("auto_pad", "NOTSET") switch
        {
            "NOTSET" or "" => same with { Padding = Sum(before, Pads()) },
            "VALID" => same with { Padding = before },
            "SAME_UPPER" => before.IsZero ? same : same with { Padding = Sum(before, same.On(padded).Padding) },
            "SAME_LOWER" => same with { Padding = Sum(before, Turned(same.On(padded).Padding)) },
            _ => throw node.Wrong("auto_pad", "NOTSET, VALID, SAME_UPPER or SAME_LOWER"),
        };
        return null;
    }

    Padding2D Pads() => node.Ints("pads") switch
    {
        null or [] => default,
        { Length: 4 } sides when sides.All(side => side is >= 0 and <= Network.MaxRowSize) =>
            new((int)sides[0], (int)sides[1], (int)sides[2], (int)sides[3]),
        _ => throw node.Wrong("pads", "four numbers that are not negative"),
    };

    static Padding2D Turned(Padding2D a) => new(a.Bottom, a.Right, a.Top, a.Left);

    static Padding2D Sum(Padding2D a, Padding2D b) =>
        new(a.Top + b.Top, a.Left + b.Left, a.Bottom + b.Bottom, a.Right + b.Right);

    Size2D Pair(string name, Size2D size) => node.Ints(name) switch
    {
        null or [] => 1,
        [> 0 and <= Network.MaxRowSize and var height, > 0 and <= Network.MaxRowSize and var width] =>
            ((int)height, (int)width),
        _ => throw node.Wrong(name, $"two positive numbers for a window of {size}"),
    };

    Operand Pool(Pooling function)
    {
        if (In(0) is not Value x)
            return Fail("it reads a constant");
        if (node.Ints("kernel_shape") is not [var height, var width])
            return Fail("its window does not have two dimensions");
        var size = new Size2D(Small(height), Small(width));
        bool isCeiled = node.Int("ceil_mode", 0) != 0, counts = node.Int("count_include_pad", 0) != 0;
        Predicate<double> isPadded = function == Pooling.Average
            ? fill => fill == 0
            : fill => fill <= float.MinValue || (fill == 0 && IsNotNegative(x.Term));
        if (WindowOn(x, size, isPadded, out Value image, out Window2D window) is { } fault)
            return Fail(fault);
        if (window.Dilation != 1)
            return Fail("its window is dilated");
        if (function == Pooling.Average && image.Term != x.Term)
        {
            // The padding before it counts; that of its own may not.
            if (!counts && window.Padding != ((PartTerm)x.Term).Padding)
                return Fail("some of its padding counts in the mean, and some does not");
            counts = true;
        }
        if (Settle(image) is not { } input)
            return Fail("it reads values that were given the shape of an image");
        if (input.Shape.Rank != 3)
        {
            return size == 1 && window.Stride == 1 && window.Padding.IsZero
                ? image
                : Fail("it reads an image of one pixel");
        }
        if (Math.Max(window.Padding.Top, window.Padding.Bottom) >= size.Height
            || Math.Max(window.Padding.Left, window.Padding.Right) >= size.Width)
            return Fail($"its padding, {window.Padding}, is not smaller than its window, {size}");
        LayerTerm term = Layer(
            new Pool2DLayer(function, size)
            {
                Stride = window.Stride, Padding = window.Padding, CeilMode = isCeiled,
                CountIncludePad = function == Pooling.Max || counts,
            },
            [input]);
        return new Value(term, [.. term.Shape.Dimensions]);
    }

    /// <summary>
    /// Whether it is known that a value is not negative, so that zeros around it are never greater than all of it.
    /// </summary>
    static bool IsNotNegative(Term term)
    {
        for (int i = 0; i < 8; i++)
        {
            switch (term)
            {
                case LayerTerm { Layer: ActivationLayer layer }:
                    return layer.Function is Activation.ReLU or Activation.ReLU6 or Activation.Sigmoid
                        or Activation.HardSigmoid;
                case LayerTerm { Layer: Pool2DLayer or DropoutLayer or GlobalAveragePool2DLayer or FlattenLayer }:
                case PartTerm { Kind: PartKind.Pad, Fill: 0 }:
                    term = term.Inputs[0];
                    break;
                default:
                    return false;
            }
        }
        return false;
    }

    /// <summary>
    /// Means of windows whose last ones reach beyond the padding, as this library writes them for versions before 19:
    /// with a larger padding, and a factor for each place. Null if it is not that.
    /// </summary>
    Value? Corrected(Value x, Constant factors)
    {
        if (x.AsPlain() is not { } plain || x.Term is not LayerTerm { Layer: Pool2DLayer layer } pool
            || !plain.Shape.AsSpan().SequenceEqual(pool.Shape.Dimensions)
            || layer is not { Function: Pooling.Average, CountIncludePad: true }
            || factors.Dimensions is not [1, 1, var lines, var places]
            || (lines, places) != (plain.Shape[1], plain.Shape[2])
            || lines * places == 1 || Math.Max(layer.PoolSize.Height, layer.PoolSize.Width) > MostCorrected)
            return null;
        float[] values = Floats(factors);
        TensorShape image = pool.Inputs[0].Shape;
        Padding2D padding = layer.Window.On(image).Padding;
        for (int bottom = padding.Bottom; bottom >= 0; bottom--)
        {
            for (int right = padding.Right; right >= 0; right--)
            {
                // So that many nodes cannot search in vain.
                Take(BytesOfTrial);
                Pool2DLayer other = layer with
                {
                    CeilMode = true, Padding = padding with { Bottom = bottom, Right = right },
                };
                if (other.Window.Places(image) == (lines, places)
                    && IsCorrection(new ImageWindows(image, other.Window), values))
                    return x.With(Layer(other, pool.Node, pool.Inputs));
            }
        }
        return null;
    }

    static bool IsCorrection(ImageWindows windows, float[] factors)
    {
        double size = windows.Size.Height * windows.Size.Width;
        return windows.Counts(withPadding: true).Zip(factors)
            .All(pair => ScaleAndShift.IsNear(pair.Second * pair.First, size));
    }

    Operand ReduceMean()
    {
        if (In(0) is not Value x || In(1) is not (null or Constant))
            return Fail("it reads a constant, or its axes are computed");
        long[]? axes = In(1) is Constant given ? Integers(given) : node.Ints("axes");
        if (axes is not { Length: 2 })
            return Fail("it is not over height and width");
        int[] seen = [.. axes.Select(axis => AxisOf(axis, x.Rank))];
        int[] over = [.. seen.Select(axis => x.Order[axis]).Order()];
        return x.Shape.Length == 3 && over is [2, 3]
            ? Averaged(x, seen, node.Int("keepdims", 1) != 0)
            : Fail("it is not over height and width");
    }

    /// <summary>The mean over height and width of images of channels first.</summary>
    Operand Average() => (In(0) as Value)?.AsPlain() is { Shape.Length: 3 } x
        ? Averaged(x, [2, 3], keepsDimensions: true)
        : Fail("it does not read images of channels, height and width");

    Operand Averaged(Value x, int[] axes, bool keepsDimensions)
    {
        if (Settle(x) is not { } input)
            return Fail("it reads values that were given the shape of an image");
        // An image of one pixel that is a row of channels here has its own values as means.
        Term means = input.Shape.Rank == 3 ? Layer(new GlobalAveragePool2DLayer(), [input]) : input;
        int channels = x.Shape[0];
        return keepsDimensions
            ? new Value(means, [channels, 1, 1], x.Order)
            : new Value(means, [channels], [.. x.Order.Where((_, axis) => !axes.Contains(axis))]);
    }

    /// <summary>Constants around an image. The layer that reads it takes them as its own padding.</summary>
    Operand Pad()
    {
        if (In(0) is not Value x || In(1) is not (null or Constant) || In(3) is not (null or Constant)
            || Number(2, opSet < 11 ? node.Float("value", 0) : 0) is not { } fill)
            return Fail("its padding is computed");
        long[]? pads = opSet < 11 ? node.Ints("pads") : In(1) is Constant sizes ? Integers(sizes) : null;
        int[] axes = In(3) is Constant given
            ? [.. Integers(given).Select(axis => AxisOf(axis, x.Rank))]
            : [.. Enumerable.Range(0, x.Rank)];
        if (pads is null || pads.Length != 2 * axes.Length)
            throw node.Invalid("there are not two numbers of padding for each dimension");
        if (Array.TrueForAll(pads, side => side == 0))
            return x;
        if (node.Text("mode", "constant") != "constant")
            return Fail($"its mode is {node.Text("mode", "")}");
        int[] sides = new int[4];
        for (int i = 0; i < pads.Length; i++)
        {
            int axis = x.Order[axes[i % axes.Length]];
            if (pads[i] == 0)
                continue;
            if (axis < 2 || x.Shape.Length != 3 || pads[i] is < 0 or > Network.MaxRowSize)
                return Fail("it is not around images, or it takes something away");
            sides[i < axes.Length ? axis - 2 : axis] = (int)pads[i];
        }
        if (x.Term is PartTerm or InputTerm && Settle(x) is null)
            return Fail("it reads values whose shape has changed");
        var padding = new Padding2D(sides[0], sides[1], sides[2], sides[3]);
        ImmutableArray<int> shape =
        [
            x.Shape[0], Small((long)x.Shape[1] + padding.Top + padding.Bottom),
            Small((long)x.Shape[2] + padding.Left + padding.Right),
        ];
        ShapeFrom(shape);
        var plain = new Value(x.Term, x.Shape) { Viewer = x.Viewer };
        return new Value(
            new PartTerm(node, terms++, PartKind.Pad, plain) { Padding = padding, Fill = fill }, shape, x.Order);
    }
}
