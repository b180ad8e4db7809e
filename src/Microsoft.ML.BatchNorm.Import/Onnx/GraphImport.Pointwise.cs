using System.Collections.Immutable;
using System.Globalization;

namespace Microsoft.ML.BatchNorm.Import;

// Functions of single values, sums and products.
sealed partial class GraphImport
{
    /// <summary>The most inputs of a sum that is put together from several nodes.</summary>
    const int MostTerms = 64;

    Operand Activate(Activation function) => In(0) is Value x ? Activated(x, function) : Fail("it reads a constant");

    Operand Activated(Value x, Activation function, double? slope = null)
    {
        // min(max(x + 3, 0), 6) is six times the hard sigmoid.
        if (function == Activation.ReLU6 && x.Term is ScaleTerm { Map: { IsShift: true } map } scale
            && map.Offsets.All(offset => offset == 3))
            return Times(Activated(x.With(scale.Inputs[0]), Activation.HardSigmoid), 6);
        return Pointwise(x, new ActivationLayer(function) { NegativeSlope = slope });
    }

    /// <summary>A layer that changes no shape.</summary>
    Operand Pointwise(Value x, Layer layer) => Unshaped(x) is { } term
        ? x.With(Layer(layer, [term]))
        : Fail("it reads values whose shape has changed");

    /// <summary>The step that computes a value, whatever the shape in which it is seen.</summary>
    Term? Unshaped(Value x) => x.Term is InputTerm { Settled: null } ? Settle(x) : x.Term;

    Operand LeakyReLU() => In(0) is Value x
        ? Activated(x, Activation.LeakyReLU, Exact(node.Finite("alpha", 0.01f)))
        : Fail("it reads a constant");

    Operand HardSigmoid()
    {
        if (In(0) is not Value x)
            return Fail("it reads a constant");
        (double alpha, double beta) = (node.Finite("alpha", 0.2f), node.Finite("beta", 0.5f));
        return Scale(x, 6 * alpha, 6 * beta - 3) is Value scaled
            ? Activated(scaled, Activation.HardSigmoid)
            : Unknown.Value;
    }

    Operand Gelu() => node.Text("approximate", "none") == "none"
        ? Activate(Activation.Gelu)
        : Fail("it is approximate, and the layer is exact");

    Operand Swish() => node.Finite("alpha", 1) == 1 ? Activate(Activation.SiLU) : Fail("alpha is not 1");

    Operand Clip()
    {
        if (In(0) is not Value x)
            return Fail("it reads a constant");
        return Number(1, opSet < 11 ? node.Float("min", float.MinValue) : float.MinValue) is { } least
            && Number(2, opSet < 11 ? node.Float("max", float.MaxValue) : float.MaxValue) is { } most
                ? Clipped(x, least, most)
                : Fail("its bounds are computed");
    }

    Operand Clipped(Value x, double least, double most)
    {
        switch (least, most)
        {
            case (<= float.MinValue, >= float.MaxValue):
                return x;
            case (0, >= float.MaxValue):
                return Activated(x, Activation.ReLU);
            case (0, 6):
                return Activated(x, Activation.ReLU6);
            case (0, 1):
                return Scale(x, 6, -3) is Value scaled ? Activated(scaled, Activation.HardSigmoid) : Unknown.Value;
            case (<= float.MinValue, 6)
                when x.Term is LayerTerm { Layer: ActivationLayer { Function: Activation.ReLU } } positive:
                return Activated(x.With(positive.Inputs[0]), Activation.ReLU6);
            default:
                return Fail(string.Create(
                    CultureInfo.InvariantCulture,
                    $"its bounds are {least:G6} and {most:G6}, and not 0 and 6, 0 and 1, or 0 alone"));
        }
    }

    /// <summary>The greater, or the smaller, of a value and a constant.</summary>
    Operand Bound(bool isLower)
    {
        (Value? x, Constant? bound) = (In(0) as Value ?? In(1) as Value, In(0) as Constant ?? In(1) as Constant);
        if (node.Inputs.Count != 2 || x is null || bound is not { Count: 1 } || bound.Dimensions.Length > x.Rank)
            return Fail("it does not compare a value with one number");
        double number = Doubles(bound)[0];
        return isLower ? Clipped(x, number, float.MaxValue) : Clipped(x, float.MinValue, number);
    }

    Operand Sum(Operand? left, Operand? right) => (left, right) switch
    {
        (Value x, Constant c) => Scaled(x, c, number => (1, number)),
        (Constant c, Value x) => Scaled(x, c, number => (1, number)),
        (Value a, Value b) => Added(a, b),
        _ => Fail("it reads constants alone"),
    };

    Operand AddAll()
    {
        Operand? sum = In(0);
        for (int i = 1; i < node.Inputs.Count && sum is not (null or Unknown); i++)
            sum = Sum(sum, In(i));
        return sum ?? Fail("it adds nothing");
    }

    Operand Subtract() => (In(0), In(1)) switch
    {
        (Value x, Constant c) => Scaled(x, c, number => (1, -number)),
        (Constant c, Value x) => Scaled(x, c, number => (-1, number)),
        (Value a, Value b) when IsSame(a, b) && Unshaped(a) is not null => a.With(PartOf(PartKind.Difference, a)),
        _ => Fail("it subtracts computed values"),
    };

    Operand Divide() => In(0) is Value x && In(1) is Constant c
        ? Scaled(x, c, number => (1 / number, 0))
        : Fail("it divides by computed values");

    static bool IsSame(Value a, Value b) => a.Term == b.Term && IsSeenAlike(a, b);

    static bool IsSeenAlike(Value a, Value b) =>
        a.Moved is null && b.Moved is null && a.Shape.SequenceEqual(b.Shape) && a.Order.SequenceEqual(b.Order);

    Operand Added(Value a, Value b)
    {
        if (!IsSeenAlike(a, b))
            return Fail("it adds values of different shapes");
        // The greatest value, plus NaN where there is one: as this library writes a pooling that keeps NaN.
        if (a.Term is LayerTerm { Layer: Pool2DLayer { Function: Pooling.Max } greatest }
            && b.Term is LayerTerm { Layer: Pool2DLayer { Function: Pooling.Average } mean }
            && b.Term.Inputs[0] is PartTerm { Kind: PartKind.ZeroOrNaN } zero && zero.Input.Term == a.Term.Inputs[0]
            && SeesTheSame(greatest.Window, mean.Window))
            return a;
        if (Merged(a, b) is not { } inputs)
            return Fail("it adds values whose shapes have changed");
        if (!a.IsShared && a.Term is LayerTerm { Layer: AddLayer } sum && inputs[0] == sum
            && sum.Inputs.Length < MostTerms)
            inputs = [.. sum.Inputs, inputs[1]];
        return a.With(Layer(new AddLayer(), inputs));
    }

    /// <summary>Whether windows on as many places see the same of an image, whatever they see around it.</summary>
    static bool SeesTheSame(Window2D a, Window2D b) => (a.Size, a.Stride, a.Padding.Top, a.Padding.Left)
        == (b.Size, b.Stride, b.Padding.Top, b.Padding.Left);

    /// <summary>The steps that compute values which are seen alike, all of one shape; null if there is none.</summary>
    ImmutableArray<Term>? Merged(params ReadOnlySpan<Value> values)
    {
        ImmutableArray<Term>.Builder terms = ImmutableArray.CreateBuilder<Term>();
        foreach (Value value in values)
        {
            if (Unshaped(value) is not { } term)
                return null;
            terms.Add(term);
        }
        for (int i = 0; i < terms.Count && terms.Any(term => term.Shape.Rank == 1); i++)
            terms[i] = Flattened(terms[i], values[i].Viewer);
        return terms.All(term => term.Shape.Equals(terms[0].Shape)) ? terms.ToImmutable() : null;
    }

    Operand Multiply(Operand? left, Operand? right) => (left, right) switch
    {
        (Value x, Constant c) => Corrected(x, c) ?? Scaled(x, c, number => (number, 0)),
        (Constant c, Value x) => Corrected(x, c) ?? Scaled(x, c, number => (number, 0)),
        (Value a, Value b) => Multiplied(a, b),
        _ => Fail("it reads constants alone"),
    };

    /// <summary>The product of two values, or a function that exporters write as a product.</summary>
    Operand Multiplied(Value a, Value b)
    {
        (Value left, double leftFactor) = WithoutFactor(a);
        (Value right, double rightFactor) = WithoutFactor(b);
        if (Gelu(a, b) is { } gelu)
            return gelu;
        return Sigmoidal(a, right) is { } first ? Times(first, rightFactor)
            : Sigmoidal(b, left) is { } second ? Times(second, leftFactor)
            : Times(Product(left, right), leftFactor * rightFactor);

        static (Value, double) WithoutFactor(Value x) => x.Term is ScaleTerm { Map.Factor: { } factor } scale
            ? (x.With(scale.Inputs[0]), factor)
            : (x, 1);
    }

    /// <summary>A value times a sigmoid of the value; null if it is not that.</summary>
    Operand? Sigmoidal(Value x, Value gate)
    {
        if (!IsSeenAlike(x, gate) || gate.Term is not LayerTerm { Layer: ActivationLayer layer } sigmoid
            || sigmoid.Inputs[0] != x.Term)
            return null;
        return layer.Function switch
        {
            Activation.Sigmoid => Activated(x, Activation.SiLU),
            Activation.HardSigmoid => Activated(x, Activation.HardSwish),
            _ => null,
        };
    }

    /// <summary>
    /// <c>x·(1 + erf(x/√2))</c>, which is twice the Gelu of x, with factors anywhere; null if it is not that.
    /// </summary>
    Operand? Gelu(Value a, Value b)
    {
        if (!IsSeenAlike(a, b))
            return null;
        if (a.Term is ScaleTerm { Inputs: [PartTerm { Kind: PartKind.Erf }] })
            (a, b) = (b, a);
        if (b.Term is not ScaleTerm { Inputs: [PartTerm { Kind: PartKind.Erf } erf], Map: { Axis: 0 } sum }
            || !ScaleAndShift.IsNear(sum.Offsets.Single(), sum.Scale[0]))
            return null;
        (Term source, ScaleAndShift argument) = Split(erf.Input.Term);
        (Term other, ScaleAndShift factor) = Split(a.Term);
        if (source != other || argument.RatioTo(factor) is not { } ratio)
            return null;
        Operand x = Scaled(a.With(source), argument.Then(0, [Math.Sqrt(2)], [0])!, []);
        return x is Value value
            ? Times(Activated(value, Activation.Gelu), Math.Sqrt(2) * ratio * sum.Scale[0])
            : x;

        static (Term, ScaleAndShift) Split(Term term) =>
            term is ScaleTerm scale ? (scale.Inputs[0], scale.Map) : (term, ScaleAndShift.Identity);
    }

    /// <summary>The product of two values of one shape, or of a value and one factor for each channel.</summary>
    Operand Product(Value a, Value b)
    {
        if (IsSeenAlike(a, b))
            return SameShape(a, b);
        if (a.Size < b.Size)
            (a, b) = (b, a);
        if (a.Rank != b.Rank || Settle(a) is not { } value || Unshaped(b) is not { } factors || b.Moved is not null)
            return Fail("it multiplies values of different shapes");
        for (int axis = 0; axis < a.Rank; axis++)
        {
            int? needed = a.Order[axis] == 1 ? a[axis] : a[axis] is null ? null : 1;
            if (b[axis] != needed)
                return Fail("it multiplies values of different shapes");
        }
        if (factors.Shape[0] != value.Shape[0])
            factors = Flattened(factors, b.Viewer);
        return a.With(Layer(new MultiplyLayer(), [value, factors]));
    }

    Operand SameShape(Value a, Value b)
    {
        if (Unshaped(a) is not { } one || Unshaped(b) is not { } other)
            return Fail("it multiplies values whose shapes have changed");
        (Term image, Term row) = one.Shape.Rank > other.Shape.Rank ? (one, other) : (other, one);
        // An image of one pixel stays an image where it is multiplied by a row of channels.
        bool isPixel = (image.Shape.Rank, row.Shape.Rank) == (3, 1) && image.Shape[0] == row.Shape[0];
        return (isPixel ? [image, row] : Merged(a, b)) is { } inputs
            ? a.With(Layer(new MultiplyLayer(), inputs))
            : Fail("it multiplies values whose shapes have changed");
    }

    Operand Part(PartKind kind) => In(0) is Value x && Unshaped(x) is not null
        ? x.With(PartOf(kind, x))
        : Fail("it reads a constant, or values whose shape has changed");

    Operand IsNaN() => In(0) is Value { Term: PartTerm { Kind: PartKind.Difference } difference } x
        ? x.With(PartOf(PartKind.IsNonFinite, difference.Input))
        : Part(PartKind.IsNaN);

    /// <summary>
    /// A choice by whether a value is NaN or infinite, as this library writes layers that keep such values.
    /// </summary>
    Operand Where()
    {
        if (In(0) is not Value { Term: PartTerm condition } mask || In(1) is not Value x || !IsSeenAlike(mask, x)
            || condition.Input.Term != x.Term)
            return Fail("its condition is not whether its value is finite");
        return (condition.Kind, In(2)) switch
        {
            (PartKind.IsNaN, Constant { Count: 1 } zero)
                when zero.Dimensions.Length <= x.Rank && Doubles(zero)[0] == 0 =>
                x.With(PartOf(PartKind.ZeroOrNaN, x)),
            (_, Value y) when !IsSeenAlike(x, y) => Fail("it chooses between values of different shapes"),
            (PartKind.IsNaN, Value { Term: LayerTerm { Layer: ActivationLayer } function } y)
                when function.Inputs[0] == x.Term => y,
            (PartKind.IsNonFinite, Value { Term: LayerTerm { Layer: BatchNormalizationLayer layer } normalization } y)
                when normalization.Inputs[0] == Settle(x) => y.With(new LayerTerm(
                    normalization.Node, terms++,
                    layer with { Options = layer.Options with { NonFinite = NonFinite.Ignore } }, normalization.Inputs,
                    normalization.Shape, normalization.State, normalization.Tensors)),
            _ => Fail("what it chooses from is not a layer that keeps NaN"),
        };
    }

    /// <summary>A softmax over the classes, which is left out if nothing comes after it.</summary>
    Operand Softmax()
    {
        if (In(0) is not Value x || Unshaped(x) is null)
            return Fail("it reads a constant, or values whose shape has changed");
        long axis = node.Int("axis", opSet < 13 ? 1 : -1);
        axis = axis < 0 ? axis + x.Rank : axis;
        // Before version 13 all dimensions from the axis on are one.
        bool isOverAll = opSet < 13 ? axis == 1 : axis > 0 && axis < x.Rank && x[(int)axis] == x.Size;
        return isOverAll && x.Order[0] == 0
            ? x.With(PartOf(PartKind.Softmax, x))
            : Fail("it is not over all values of a row");
    }
}
