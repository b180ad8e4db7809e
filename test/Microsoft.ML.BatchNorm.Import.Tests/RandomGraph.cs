namespace Microsoft.ML.BatchNorm.Import.Tests;

/// <summary>A graph of random operators of a random version that can all be imported, on an image.</summary>
sealed class RandomGraph
{
    const int MostStride = 2;

    readonly Random random;
    readonly OnnxFile file;
    readonly int opSet;
    readonly List<(string Name, int[] Shape)> values = [];
    int names;

    public RandomGraph(int seed)
    {
        random = new Random(seed);
        Shape = [random.Next(1, 5), random.Next(4, 9), random.Next(4, 9)];
        opSet = random.Next(9, GraphImport.NewestOpSet + 1);
        file = new OnnxFile(opSet).Input("x", [-1, .. Shape.Select(size => (long)size)]).Output("y");
        values.Add(("x", Shape));
        for (int i = random.Next(3, 14); i > 0; i--)
            Add();
        (string last, _) = values[^1];
        file.Node("Identity", last, "y");
    }

    /// <summary>The shape of an input row.</summary>
    public int[] Shape { get; }

    public byte[] ToBytes() => file.ToBytes();

    void Add()
    {
        (string x, int[] shape) = values[random.Next(3) == 0 ? random.Next(values.Count) : values.Count - 1];
        string y = shape.Length == 1 ? AddToRow(x, ref shape) : AddToImage(x, ref shape);
        values.Add((y, shape));
    }

    string AddToRow(string x, ref int[] shape)
    {
        int size = shape[0];
        switch (random.Next(7))
        {
            case 0:
                shape = [random.Next(1, 7)];
                return Node("Gemm", $"{x} {Constant(shape[0], size)} {Constant(shape[0])}", ("transB", 1));
            case 1:
                shape = [random.Next(1, 7)];
                string product = Node("MatMul", $"{x} {Constant(size, shape[0])}");
                return random.Next(2) == 0 ? product : Node("Add", $"{product} {Constant(shape[0])}");
            case 2:
                return Normalized(x, size);
            case 3:
                string image = WithAxes("Unsqueeze", x, since: 13, 2, 3);
                return WithAxes("Squeeze", Function(image), since: 13, 2, 3);
            case 4:
                return Node(random.Next(2) == 0 ? "Mul" : "Sub", $"{x} {Constant(size)}");
            case 5:
                return WithAnother(x, ref shape);
            default:
                return Function(x);
        }
    }

    string AddToImage(string x, ref int[] shape)
    {
        (int channels, int height, int width) = (shape[0], shape[1], shape[2]);
        switch (random.Next(12))
        {
            case 0 or 1:
                return Convolved(x, ref shape);
            case 2:
                return Normalized(x, channels);
            case 3:
                return Pooled(x, ref shape);
            case 4:
                shape = [channels * height * width];
                return random.Next(2) == 0
                    ? Node("Flatten", x)
                    : Node("Reshape", $"{x} {Whole(random.Next(-1, 1), shape[0])}");
            case 5:
                shape = [channels];
                return Node("Flatten", random.Next(2) == 0
                    ? WithAxes("ReduceMean", x, since: 18, 2, 3)
                    : Node("GlobalAveragePool", x));
            case 6:
                string factors = Node("GlobalAveragePool", x);
                factors = Node("Conv", $"{factors} {Constant(2, channels, 1, 1)}");
                factors = Node("Conv", $"{Function(factors)} {Constant(channels, 2, 1, 1)} {Constant(channels)}");
                factors = Node("Sigmoid", factors);
                return Node("Mul", random.Next(2) == 0 ? $"{x} {factors}" : $"{factors} {x}");
            case 7:
                string last = Node("Transpose", x, ("perm", new[] { 0, 2, 3, 1 }));
                last = random.Next(2) == 0 ? Node("Mul", $"{last} {Constant(channels)}") : Function(last);
                return Node("Transpose", last, ("perm", new[] { 0, 3, 1, 2 }));
            case 8:
                return Node(random.Next(2) == 0 ? "Mul" : "Add", $"{x} {Constant(1, channels, 1, 1)}");
            case 9 or 10:
                return WithAnother(x, ref shape);
            default:
                return Function(x);
        }
    }

    string WithAnother(string x, ref int[] shape)
    {
        int[] own = shape;
        (string Name, int[] Shape)[] others = [.. values.Where(
            value => value.Shape.Length == own.Length && value.Shape.Skip(1).SequenceEqual(own.Skip(1)))];
        (string other, int[] otherShape) = others[random.Next(others.Length)];
        if (random.Next(2) == 0 || !otherShape.SequenceEqual(shape))
        {
            shape = [shape[0] + otherShape[0], .. shape[1..]];
            return Node("Concat", $"{x} {other}", ("axis", 1));
        }
        return Node(random.Next(3) == 0 ? "Mul" : "Add", $"{x} {other}");
    }

    string Convolved(string x, ref int[] shape)
    {
        int[] image = shape[1..], kernel = [.. image.Select(size => random.Next(1, Math.Min(4, size + 1)))];
        int[] gaps =
            [.. kernel.Zip(image, (size, all) => size == 1 || random.Next(3) > 0 ? 1 : (all - 1) / (size - 1))];
        int groups = random.Next(3) == 0 ? shape[0] : 1, filters = groups * random.Next(1, 3);
        int[] pads = [random.Next(3), random.Next(3), random.Next(3), random.Next(3)];
        // ONNX Runtime refuses a dilation with padding that follows from the size.
        (string, object)[] window = Window(
            pads, ref image, [.. kernel.Zip(gaps, (size, gap) => (size - 1) * gap + 1)], mayFollow: gaps is [1, 1]);
        if (random.Next(3) == 0 && window[0].Item2 is int[])
        {
            long[] sides = [0, 0, pads[0], pads[1], 0, 0, pads[2], pads[3]];
            x = opSet < 11
                ? Node("Pad", x, ("pads", Array.ConvertAll(sides, side => (int)side)))
                : Node("Pad", $"{x} {Whole(sides)}");
            window = window[1..];
        }
        string weights = Constant(filters, shape[0] / groups, kernel[0], kernel[1]);
        shape = [filters, .. image];
        return Node(
            "Conv", random.Next(2) == 0 ? $"{x} {weights}" : $"{x} {weights} {Constant(filters)}",
            [.. window, ("dilations", gaps), ("group", groups)]);
    }

    string Pooled(string x, ref int[] shape)
    {
        int[] image = shape[1..], size = [.. image.Select(size => random.Next(1, Math.Min(4, size + 1)))];
        bool isCeiled = opSet >= 10 && size[0] > 1 && size[1] > 1 && random.Next(3) == 0;
        // ONNX Runtime contradicts itself where a window would begin in the padding at the end.
        int less = isCeiled ? MostStride - 1 : 0;
        int[] pads =
            [random.Next(size[0]), random.Next(size[1]), random.Next(size[0] - less), random.Next(size[1] - less)];
        (string, object)[] window = Window(pads, ref image, size, mayFollow: !isCeiled, isCeiled);
        shape = [shape[0], .. image];
        if (isCeiled)
            window = [.. window, ("ceil_mode", 1)];
        window = [.. window, ("kernel_shape", size)];
        return random.Next(2) == 0
            ? Node("MaxPool", x, window)
            : Node("AveragePool", x, [.. window, ("count_include_pad", random.Next(2))]);
    }

    /// <summary>Padding and strides of a window.</summary>
    /// <param name="pads">The padding, if it is given by its sides.</param>
    /// <param name="image">Height and width, which become those of the output.</param>
    /// <param name="size">Height and width of the window.</param>
    /// <param name="mayFollow">Whether the padding may follow from the size.</param>
    /// <param name="isCeiled">Whether windows that reach beyond the padding are taken.</param>
    /// <returns>The padding first, then the strides.</returns>
    (string, object)[] Window(int[] pads, ref int[] image, int[] size, bool mayFollow, bool isCeiled = false)
    {
        int[] strides = [random.Next(1, MostStride + 1), random.Next(1, MostStride + 1)];
        // ONNX Runtime refuses the negative padding that follows where windows have gaps between them.
        string? auto = !mayFollow || size[0] < strides[0] || size[1] < strides[1] ? null : random.Next(9) switch
        {
            0 => "SAME_UPPER",
            1 => "SAME_LOWER",
            2 => "VALID",
            _ => null,
        };
        image = [.. image.Select((all, axis) => auto switch
        {
            "SAME_UPPER" or "SAME_LOWER" => (all + strides[axis] - 1) / strides[axis],
            "VALID" => (all - size[axis]) / strides[axis] + 1,
            _ => (all + pads[axis] + pads[axis + 2] - size[axis] + (isCeiled ? strides[axis] - 1 : 0)) / strides[axis]
                + 1,
        })];
        return [auto is null ? ("pads", pads) : ("auto_pad", auto), ("strides", strides)];
    }

    string Normalized(string x, int channels) => Node(
        "BatchNormalization",
        $"{x} {Constant(channels)} {Constant(channels)} {Constant(channels)} "
        + Tensor(value => 0.5f + value * value, channels),
        ("epsilon", 0.01f));

    string Function(string x)
    {
        switch (random.Next(9))
        {
            case 0:
                return Node("Relu", x);
            case 1:
                return Node("LeakyRelu", x, ("alpha", 0.2f));
            case 2:
                return Node("Tanh", x);
            case 3:
                return Node("HardSigmoid", x, ("alpha", 0.25f));
            case 4:
                return Bounded(x);
            case 5:
                return Node("Mul", $"{x} {Node("Sigmoid", x)}");
            case 6:
                string sum = Node("Add", $"{x} {Number(3)}");
                return Node("Div", $"{Node("Mul", $"{x} {Bounded(sum)}")} {Number(6)}");
            case 7:
                string erf = Node("Erf", Node("Div", $"{x} {Number(MathF.Sqrt(2))}"));
                return Node("Mul", $"{Node("Mul", $"{x} {Node("Add", $"{erf} {Number(1)}")}")} {Number(0.5f)}");
            default:
                return Node("Sigmoid", x);
        }
    }

    string Bounded(string x) => opSet < 11
        ? Node("Clip", x, ("min", 0f), ("max", 6f))
        : Node("Clip", $"{x} {Number(0)} {Number(6)}");

    string WithAxes(string type, string x, int since, params int[] axes) => opSet < since
        ? Node(type, x, ("axes", axes))
        : Node(type, $"{x} {Whole([.. axes.Select(axis => (long)axis)])}");

    string Node(string type, string inputs, params (string, object)[] attributes)
    {
        string name = Name();
        file.Node(type, inputs, name, attributes);
        return name;
    }

    string Number(float value) => Named(name => file.Initializer(OnnxFile.TensorOf(name, [value])));

    string Whole(params long[] values) => Named(name => file.Tensor(name, values));

    string Constant(params long[] shape) => Tensor(value => value, shape);

    string Tensor(Converter<float, float> value, params long[] shape) => Named(name =>
    {
        int count = (int)shape.Aggregate(1L, (count, size) => count * size);
        file.Tensor(name, Array.ConvertAll(Sample.Floats(count, names, deviation: 0.7), value), shape);
    });

    string Named(Action<string> add)
    {
        string name = Name();
        add(name);
        return name;
    }

    string Name() => $"v{names++}";
}
