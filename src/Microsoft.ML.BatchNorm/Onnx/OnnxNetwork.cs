using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Model.OnnxConverter;

namespace Microsoft.ML.Transforms;

/// <summary>
/// A network's part of an ONNX graph, layer by layer, in inference mode. The variable with a layer's value is named by
/// the layer's path. The operators have the form of version 9, which is valid up to version 12 at least.
/// <see cref="OnnxColumn"/> writes a batch normalization; dropout adds no node.
/// </summary>
sealed class OnnxNetwork(OnnxNodes nodes, Network network, NetworkState state)
{
    /// <summary>
    /// Adds the nodes that compute the network from a variable of features, and returns the variable of its outputs, of
    /// shape [rows, outputs].
    /// </summary>
    public string Save(string features)
    {
        string outputs = SaveLayers(features);
        return network.OutputShape.Rank == 1 ? outputs : Step("Flatten", "Outputs", outputs);
    }

    /// <summary>Does the same, with outputs of the network's own shape.</summary>
    public string SaveLayers(string features)
    {
        string input = Shaped(features);
        var values = new List<string>();
        foreach (NetworkNode node in network.Nodes)
            values.Add(Layer(node, [.. node.Inputs.Select(value => value < 0 ? input : values[value])]));
        return values.Count == 0 ? input : values[^1];
    }

    /// <summary>
    /// Reshapes the features to the network's input. The column may have other dimensions, and so may its variable.
    /// </summary>
    string Shaped(string features)
    {
        long[] shape = [-1, .. network.InputShape.Dimensions.ToArray().Select(size => (long)size)];
        return Step("Reshape", "Input", features, nodes.Constant("InputShape", shape, shape.Length));
    }

    string Layer(NetworkNode node, string[] inputs) => node.Layer switch
    {
        AddLayer => Sum(node, inputs),
        ConcatLayer => Concat(node, inputs),
        MultiplyLayer => Product(node, inputs),
        _ => Layer(node, inputs[0]),
    };

    string Layer(NetworkNode node, string x) => node.Layer switch
    {
        DenseLayer dense => Dense(node, dense, x),
        Conv2DLayer convolution => Convolution(node, convolution, x),
        BatchNormalizationLayer normalization => Normalization(node, normalization, x),
        ActivationLayer activation => Activation(node, activation, x),
        Pool2DLayer pool => Pool(node, pool, x),
        GlobalAveragePool2DLayer => Step("Flatten", node.Path, Step("GlobalAveragePool", $"{node.Path}.means", x)),
        FlattenLayer => Step("Flatten", node.Path, x),
        DropoutLayer or RandomHorizontalFlipLayer or RandomCropLayer => x,
        _ => throw new NotSupportedException($"Layer '{node.Path}' ({node.Layer.Kind}) has no form in ONNX here."),
    };

    /// <summary>Adds two values at a time, in the network's order. The operator Sum has no fixed order.</summary>
    string Sum(NetworkNode node, string[] inputs)
    {
        string sum = inputs[0];
        for (int i = 1; i < inputs.Length; i++)
            sum = Step("Add", i == inputs.Length - 1 ? node.Path : $"{node.Path}.sum", sum, inputs[i]);
        return sum;
    }

    string Concat(NetworkNode node, string[] inputs)
    {
        string y = nodes.Variable(node.Path);
        nodes.Add("Concat", inputs, y).AddAttribute("axis", 1L);
        return y;
    }

    /// <summary>Factors per channel get dimensions of 1 behind them, along which the operator repeats them.</summary>
    string Product(NetworkNode node, string[] inputs)
    {
        (TensorShape shape, TensorShape factors) = (node.InputShapes[0], node.InputShapes[1]);
        if (factors.Rank == shape.Rank)
            return Step("Mul", node.Path, inputs);
        long[] aligned = [-1, factors.Size, .. Enumerable.Repeat(1L, shape.Rank - 1)];
        string name = $"{node.Path}.factors";
        return Step("Mul", node.Path, inputs[0], Step(
            "Reshape", name, inputs[1], nodes.Constant($"{name}.shape", aligned, aligned.Length)));
    }

    string Dense(NetworkNode node, DenseLayer layer, string x)
    {
        LayerState learned = state[node.Path];
        string y = nodes.Variable(node.Path);
        // Before version 11, the operator has no form without a bias.
        ReadOnlySpan<float> bias = layer.UseBias ? learned.Bias : new float[layer.Units];
        OnnxNode gemm = nodes.Add(
            "Gemm",
            [
                x, nodes.Constant($"{node.Path}.kernel", learned.Kernel, layer.Units, node.Input.Size),
                nodes.Constant($"{node.Path}.bias", bias, layer.Units),
            ],
            y);
        gemm.AddAttribute("transB", 1L);
        return y;
    }

    string Convolution(NetworkNode node, Conv2DLayer layer, string x)
    {
        LayerState learned = state[node.Path];
        string y = nodes.Variable(node.Path);
        string kernel = nodes.Constant(
            $"{node.Path}.kernel", learned.Kernel, layer.Filters, node.Input[0] / layer.Groups, layer.KernelSize.Height,
            layer.KernelSize.Width);
        OnnxNode conv = nodes.Add(
            "Conv",
            layer.UseBias ? [x, kernel, nodes.Constant($"{node.Path}.bias", learned.Bias, layer.Filters)] : [x, kernel],
            y);
        Window2D window = layer.Window.On(node.Input);
        Window(conv, window, window.Padding);
        conv.AddAttribute("dilations", (long[])[window.Dilation.Height, window.Dilation.Width]);
        conv.AddAttribute("group", (long)layer.Groups);
        return y;
    }

    string Normalization(NetworkNode node, BatchNormalizationLayer layer, string x)
    {
        var column = new BatchNormalizationColumn(
            nodes.Name(node.Path), x, layer.Options, state[node.Path].BatchNormalization!);
        string y = nodes.Variable(node.Path);
        var type = new VectorDataViewType(NumberDataViewType.Single, node.Input.Dimensions.ToArray());
        new OnnxColumn(nodes.Context, column, type, layer.Options.NonFinite == NonFinite.Ignore).Save(x, y);
        return y;
    }

    string Activation(NetworkNode node, ActivationLayer layer, string x)
    {
        switch (layer.EffectiveFunction)
        {
            case BatchNorm.Activation.Gelu:
                return Gelu(node, x);
            case BatchNorm.Activation.LeakyReLU:
                string y = nodes.Variable(node.Path);
                nodes.Add("LeakyRelu", [x], y).AddAttribute("alpha", layer.EffectiveSlope);
                return y;
            case BatchNorm.Activation.ReLU:
                return Step("Relu", node.Path, x);
            case BatchNorm.Activation.Sigmoid:
                return Step("Sigmoid", node.Path, x);
            case BatchNorm.Activation.Tanh:
                return Step("Tanh", node.Path, x);
            case BatchNorm.Activation.SiLU:
                return Step("Mul", node.Path, Finite(node, x), Step("Sigmoid", $"{node.Path}.sigmoid", x));
            case BatchNorm.Activation.HardSwish:
                return Step("Mul", node.Path, Finite(node, x), HardSigmoid($"{node.Path}.hard_sigmoid", x));
            case BatchNorm.Activation.HardSigmoid:
                return HardSigmoid(node.Path, x);
            case BatchNorm.Activation.ReLU6:
                // Not Clip: its bounds are attributes before version 11 and inputs from then on, and the graph must be
                // valid in both.
                string most = nodes.Constant($"{node.Path}.most", [6f], 1);
                return OrNaN(node.Path, x, role => Step("Min", role, Step("Relu", $"{node.Path}.positive", x), most));
            default:
                throw new NotSupportedException(
                    $"Layer '{node.Path}': the activation {layer.Function} has no form in ONNX here.");
        }
    }

    string HardSigmoid(string role, string x) => OrNaN(role, x, bounded =>
    {
        string y = nodes.Variable(bounded);
        OnnxNode hardSigmoid = nodes.Add("HardSigmoid", [x], y);
        hardSigmoid.AddAttribute("alpha", 1.0 / 6);
        hardSigmoid.AddAttribute("beta", 0.5);
        return y;
    });

    /// <summary>Replaces −∞ by the least float, because −∞·0 is NaN.</summary>
    string Finite(NetworkNode node, string x) => network.NeedsFinite
        ? x
        : Step("Max", $"{node.Path}.finite", x, nodes.Constant($"{node.Path}.least", [float.MinValue], 1));

    /// <summary>A bounded y, but NaN where x is NaN: a runtime may turn a NaN into one of the bounds.</summary>
    /// <param name="role">The name of the result.</param>
    /// <param name="x">What y is computed from.</param>
    /// <param name="bounded">Adds the nodes that compute y under a name.</param>
    string OrNaN(string role, string x, Func<string, string> bounded) => network.NeedsFinite
        ? bounded(role)
        : Step("Where", role, Step("IsNaN", $"{role}.is_nan", x), x, bounded($"{role}.bounded"));

    /// <summary><c>x·½(1 + erf(x/√2))</c>.</summary>
    string Gelu(NetworkNode node, string x)
    {
        string erf = Step("Erf", $"{node.Path}.erf", Scaled($"{node.Path}.scaled", x, MathF.Sqrt(0.5f)));
        string sum = Step("Add", $"{node.Path}.sum", erf, nodes.Constant($"{node.Path}.one", [1f], 1));
        return Scaled(node.Path, Step("Mul", $"{node.Path}.product", Finite(node, x), sum), 0.5f);
    }

    string Scaled(string role, string x, float factor) =>
        Step("Mul", role, x, nodes.Constant($"{role}.factor", [factor], 1));

    string Pool(NetworkNode node, Pool2DLayer layer, string x)
    {
        if (layer.Function == Pooling.Average)
            return Pooled(node, layer, "AveragePool", node.Path, x);
        return network.NeedsFinite ? Pooled(node, layer, "MaxPool", node.Path, x) : GreatestOrNaN(node, layer, x);
    }

    /// <summary>The greatest value, or NaN where the window has one. A runtime's MaxPool may skip a NaN.</summary>
    string GreatestOrNaN(NetworkNode node, Pool2DLayer layer, string x)
    {
        string path = node.Path, greatest = Pooled(node, layer, "MaxPool", $"{path}.greatest", x);
        string isNaN = Step("IsNaN", $"{path}.is_nan", x), zero = nodes.Constant($"{path}.zero", [0f], 1);
        string zeros = Step("Where", $"{path}.zeros", isNaN, x, zero);
        return Step("Add", path, greatest, Pooled(node, layer, "AveragePool", $"{path}.zero_or_nan", zeros));
    }

    /// <remarks>
    /// Opset 9 has no <c>ceil_mode</c>: what the last windows see beyond the padding is padding, too, and where that
    /// counts in a mean, the means are corrected.
    /// </remarks>
    string Pooled(NetworkNode node, Pool2DLayer layer, string type, string role, string x)
    {
        Window2D window = layer.Window.On(node.Input);
        Padding2D padding = window.Around(node.Input);
        bool isMean = type == "AveragePool", corrects = isMean && layer.CountIncludePad && padding != window.Padding;
        string y = nodes.Variable(corrects ? $"{role}.uncorrected" : role);
        OnnxNode pool = nodes.Add(type, [x], y);
        Window(pool, window, padding);
        if (isMean)
            pool.AddAttribute("count_include_pad", layer.CountIncludePad ? 1L : 0L);
        if (!corrects)
            return y;
        var windows = new ImageWindows(node.Input, window);
        float[] factors = PoolKernels.Corrections(windows, withPadding: true);
        return Step("Mul", role, y, nodes.Constant(
            $"{role}.correction", factors, 1, 1, windows.PlaceLines, windows.LinePlaces));
    }

    static void Window(OnnxNode node, Window2D window, Padding2D padding)
    {
        node.AddAttribute("kernel_shape", (long[])[window.Size.Height, window.Size.Width]);
        node.AddAttribute("strides", (long[])[window.Stride.Height, window.Stride.Width]);
        node.AddAttribute("pads", (long[])[padding.Top, padding.Left, padding.Bottom, padding.Right]);
    }

    string Step(string type, string role, params string[] inputs)
    {
        string y = nodes.Variable(role);
        nodes.Add(type, inputs, y);
        return y;
    }
}
