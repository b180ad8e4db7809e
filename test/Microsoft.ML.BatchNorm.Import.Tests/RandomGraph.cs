namespace Microsoft.ML.BatchNorm.Import.Tests;

/// <summary>A graph of random operators that can all be imported, on an image.</summary>
sealed class RandomGraph
{
    readonly Random random;
    readonly OnnxFile file;
    readonly List<(string Name, int[] Shape)> values = [];
    int names;

    public RandomGraph(int seed)
    {
        random = new Random(seed);
        Shape = [random.Next(1, 5), random.Next(4, 9), random.Next(4, 9)];
        file = new OnnxFile(random.Next(13, 18)).Input("x", [-1, .. Shape.Select(size => (long)size)]).Output("y");
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
                string image = Node("Unsqueeze", $"{x} {Whole(2, 3)}");
                return Node("Squeeze", $"{Function(image)} {Whole(-1, 2)}");
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
                return random.Next(2) == 0
                    ? Node("ReduceMean", x, ("axes", new[] { 2, 3 }), ("keepdims", 0))
                    : Node("Flatten", Node("GlobalAveragePool", x));
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
        int height = random.Next(1, Math.Min(4, shape[1] + 1)), width = random.Next(1, Math.Min(4, shape[2] + 1));
        int groups = random.Next(3) == 0 ? shape[0] : 1, filters = groups * random.Next(1, 3);
        int[] pads = [random.Next(3), random.Next(3), random.Next(3), random.Next(3)];
        int[] strides = [random.Next(1, 3), random.Next(1, 3)];
        if (random.Next(3) == 0)
        {
            x = Node("Pad", $"{x} {Whole(0, 0, pads[0], pads[1], 0, 0, pads[2], pads[3])}");
            shape = [shape[0], shape[1] + pads[0] + pads[2], shape[2] + pads[1] + pads[3]];
            pads = [0, 0, 0, 0];
        }
        string kernel = Constant(filters, shape[0] / groups, height, width);
        shape =
        [
            filters, (shape[1] + pads[0] + pads[2] - height) / strides[0] + 1,
            (shape[2] + pads[1] + pads[3] - width) / strides[1] + 1,
        ];
        return Node(
            "Conv", random.Next(2) == 0 ? $"{x} {kernel}" : $"{x} {kernel} {Constant(filters)}", ("pads", pads),
            ("strides", strides), ("group", groups));
    }

    string Pooled(string x, ref int[] shape)
    {
        int height = random.Next(1, Math.Min(4, shape[1] + 1)), width = random.Next(1, Math.Min(4, shape[2] + 1));
        int[] pads = [random.Next(height), random.Next(width), random.Next(height), random.Next(width)];
        int[] strides = [random.Next(1, 3), random.Next(1, 3)];
        shape =
        [
            shape[0], (shape[1] + pads[0] + pads[2] - height) / strides[0] + 1,
            (shape[2] + pads[1] + pads[3] - width) / strides[1] + 1,
        ];
        (string, object)[] window = [("kernel_shape", new[] { height, width }), ("pads", pads), ("strides", strides)];
        return random.Next(2) == 0
            ? Node("MaxPool", x, window)
            : Node("AveragePool", x, [.. window, ("count_include_pad", random.Next(2))]);
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
                return Node("Clip", $"{x} {Number(0)} {Number(6)}");
            case 5:
                return Node("Mul", $"{x} {Node("Sigmoid", x)}");
            case 6:
                string sum = Node("Add", $"{x} {Number(3)}");
                string bounded = Node("Clip", $"{sum} {Number(0)} {Number(6)}");
                return Node("Div", $"{Node("Mul", $"{x} {bounded}")} {Number(6)}");
            case 7:
                string erf = Node("Erf", Node("Div", $"{x} {Number(MathF.Sqrt(2))}"));
                return Node("Mul", $"{Node("Mul", $"{x} {Node("Add", $"{erf} {Number(1)}")}")} {Number(0.5f)}");
            default:
                return Node("Sigmoid", x);
        }
    }

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
