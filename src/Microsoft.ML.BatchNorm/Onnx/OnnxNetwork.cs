using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Model.OnnxConverter;

namespace Microsoft.ML.Transforms;

/// <summary>
/// A network's part of an ONNX graph, layer by layer, in inference mode: operators of version 9, which held until 12 at
/// least. A batch normalization is one of its own, as <see cref="OnnxColumn"/> writes it; dropout is nothing.
/// </summary>
sealed class OnnxNetwork(OnnxNodes nodes, Network network, NetworkState state)
{
    /// <summary>Whether the network has outputs for NaN and infinite features, and no error.</summary>
    bool TakesNonFinite => !network.Nodes.Any(
        node => node.Layer is BatchNormalizationLayer { Options.NonFinite: NonFinite.Throw });

    /// <summary>
    /// Adds the network behind a variable of one row's values, and gives that of its outputs, rows by outputs.
    /// </summary>
    public string Save(string features)
    {
        string outputs = SaveLayers(features);
        return network.OutputShape.Rank == 1 ? outputs : Step("Flatten", "Outputs", outputs);
    }

    /// <summary>The same, with outputs of the network's own shape.</summary>
    public string SaveLayers(string features)
    {
        string input = Shaped(features);
        var values = new List<string>();
        foreach (NetworkNode node in network.Nodes)
            values.Add(Layer(node, [.. node.Inputs.Select(value => value < 0 ? input : values[value])]));
        return values.Count == 0 ? input : values[^1];
    }

    /// <summary>
    /// A column may have other dimensions than the network's input, and its variable others than the column.
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
        _ => Layer(node, inputs[0]),
    };

    string Layer(NetworkNode node, string x) => node.Layer switch
    {
        DenseLayer dense => Dense(node, dense, x),
        Conv2DLayer convolution => Convolution(node, convolution, x),
        BatchNormalizationLayer normalization => Normalization(node, normalization, x),
        ActivationLayer activation => Activation(node, activation, x),
        Pool2DLayer pool => Pool(node, pool, x),
        GlobalAveragePool2DLayer => Step("Flatten", $"{node.Path}.Flat", Step("GlobalAveragePool", node.Path, x)),
        FlattenLayer => Step("Flatten", node.Path, x),
        DropoutLayer => x,
        _ => throw new NotSupportedException($"Layer '{node.Path}' ({node.Layer.Kind}) has no form in ONNX here."),
    };

    /// <summary>A sum of two at a time, in the order in which the network adds.</summary>
    string Sum(NetworkNode node, string[] inputs) =>
        inputs.Aggregate((sum, input) => Step("Add", node.Path, sum, input));

    string Concat(NetworkNode node, string[] inputs)
    {
        string y = nodes.Variable(node.Path);
        nodes.Add("Concat", inputs, y).AddAttribute("axis", 1L);
        return y;
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
            $"{node.Path}.kernel", learned.Kernel, layer.Filters, node.Input[0], layer.KernelSize.Height,
            layer.KernelSize.Width);
        OnnxNode conv = nodes.Add(
            "Conv",
            layer.UseBias ? [x, kernel, nodes.Constant($"{node.Path}.bias", learned.Bias, layer.Filters)] : [x, kernel],
            y);
        Window(conv, layer.KernelSize, layer.Stride, layer.Padding);
        return y;
    }

    string Normalization(NetworkNode node, BatchNormalizationLayer layer, string x)
    {
        string y = nodes.Variable(node.Path);
        var column = new BatchNormalizationColumn(
            nodes.Name(node.Path), x, layer.Options, state[node.Path].BatchNormalization!);
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
            default:
                return Step(layer.Function.ToString(), node.Path, x);
        }
    }

    /// <summary><c>x·½(1 + erf(x/√2))</c>, where −∞·0 is to be 0.</summary>
    string Gelu(NetworkNode node, string x)
    {
        string erf = Step("Erf", $"{node.Path}.erf", Scaled($"{node.Path}.scaled", x, MathF.Sqrt(0.5f)));
        string sum = Step("Add", $"{node.Path}.sum", erf, nodes.Constant($"{node.Path}.one", [1f], 1));
        if (TakesNonFinite)
            x = Step("Max", $"{node.Path}.finite", x, nodes.Constant($"{node.Path}.least", [float.MinValue], 1));
        return Scaled(node.Path, Step("Mul", $"{node.Path}.product", x, sum), 0.5f);
    }

    string Scaled(string role, string x, float factor) =>
        Step("Mul", role, x, nodes.Constant($"{role}.factor", [factor], 1));

    string Pool(NetworkNode node, Pool2DLayer layer, string x)
    {
        string y = Pooled(layer, layer.Function == Pooling.Max ? "MaxPool" : "AveragePool", node.Path, x);
        return layer.Function == Pooling.Max && TakesNonFinite ? WithNaN(node.Path, layer, x, y) : y;
    }

    /// <summary>The greatest values, and NaN where there is one among them, which runtimes may skip.</summary>
    string WithNaN(string path, Pool2DLayer layer, string x, string greatest)
    {
        string isNaN = Step("IsNaN", $"{path}.is_nan", x), zero = nodes.Constant($"{path}.zero", [0f], 1);
        string zeros = Step("Where", $"{path}.zeros", isNaN, x, zero);
        return Step("Add", $"{path}.sum", greatest, Pooled(layer, "AveragePool", $"{path}.zero_or_nan", zeros));
    }

    string Pooled(Pool2DLayer layer, string type, string role, string x)
    {
        string y = nodes.Variable(role);
        OnnxNode pool = nodes.Add(type, [x], y);
        Window(pool, layer.PoolSize, layer.Stride ?? layer.PoolSize, layer.Padding);
        if (type == "AveragePool")
            pool.AddAttribute("count_include_pad", 1L);
        return y;
    }

    static void Window(OnnxNode node, Size2D size, Size2D stride, Size2D padding)
    {
        node.AddAttribute("kernel_shape", (long[])[size.Height, size.Width]);
        node.AddAttribute("strides", (long[])[stride.Height, stride.Width]);
        node.AddAttribute("pads", (long[])[padding.Height, padding.Width, padding.Height, padding.Width]);
    }

    string Step(string type, string role, params string[] inputs)
    {
        string y = nodes.Variable(role);
        nodes.Add(type, inputs, y);
        return y;
    }
}
