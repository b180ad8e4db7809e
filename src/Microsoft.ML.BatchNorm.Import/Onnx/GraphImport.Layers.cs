namespace Microsoft.ML.BatchNorm.Import;

// The layers with parameters.
sealed partial class GraphImport
{
    KernelInitializer KernelInitializer =>
        IsPyTorch ? KernelInitializer.PyTorch : KernelInitializer.GlorotUniform;

    KernelInitializer BiasInitializer => IsPyTorch ? KernelInitializer.PyTorch : KernelInitializer.Zeros;

    bool IsPyTorch => model.Producer == "pytorch";

    NetworkPreset? Preset => IsPyTorch ? NetworkPreset.PyTorch
        : model.Producer is "tf2onnx" or "keras2onnx" ? NetworkPreset.Keras
        : null;

    /// <summary>
    /// The options of a batch normalization. The standard's own variance is the population's; PyTorch's layers, from
    /// which an export of PyTorch comes, take that of the sample.
    /// </summary>
    BatchNormalizationOptions Normalization => new()
    {
        MovingStatistics = MovingStatistics.Exponential,
        VarianceConvention = IsPyTorch ? VarianceConvention.Sample : VarianceConvention.Population,
    };

    Operand Convolve()
    {
        if (In(0) is not Value x || In(1) is not Constant kernel || In(2) is not (null or Constant))
            return Fail("its kernel or bias is computed");
        if (kernel.Dimensions.Length != 4)
            return Fail($"its kernel has {kernel.Dimensions.Length} dimensions, and that of an image has 4");
        var bias = (Constant?)In(2);
        (int filters, int seen) = (kernel.Dimensions[0], kernel.Dimensions[1]);
        var size = new Size2D(kernel.Dimensions[2], kernel.Dimensions[3]);
        if (node.Ints("kernel_shape") is [_, ..] stated && !stated.SequenceEqual([size.Height, size.Width]))
            throw node.Wrong("kernel_shape", $"that of its kernel, {size}");
        int groups = Small(node.Int("group", 1));
        if (filters == 0 || seen == 0 || size.Height == 0 || size.Width == 0)
            throw node.Invalid("the kernel is empty");
        if (WindowOn(x, size, isPadded: fill => fill == 0, out Value image, out Window2D window) is { } fault)
            return Fail(fault);
        if (bias is not null && bias.Count != filters)
            throw node.Invalid($"there are {filters} filters and {bias.Count} biases");
        if (Settle(image) is not { } input)
            return Fail("it reads values that were given the shape of an image");
        if (image.Shape[0] != (long)seen * groups)
            throw node.Invalid($"the kernel is for {(long)seen * groups} channels, and the image has {image.Shape[0]}");
        LayerState state = StateOf(Floats(kernel), bias is null ? null : Floats(bias));
        string[] tensors = [kernel.Name, bias?.Name ?? ""];
        if (input.Shape.Rank == 3)
        {
            var layer = new Conv2DLayer(filters, size)
            {
                Stride = window.Stride, Padding = window.Padding, Dilation = window.Dilation, Groups = groups,
                UseBias = bias is not null, KernelInitializer = KernelInitializer, BiasInitializer = BiasInitializer,
            };
            LayerTerm term = Layer(layer, [input], state, tensors);
            return new Value(term, [.. term.Shape.Dimensions]);
        }
        // An image of one pixel that is a row of channels here, such as after a global average.
        if (size != 1 || groups != 1 || !window.On(new TensorShape(seen, 1, 1)).Padding.IsZero)
            return Fail("it reads an image of one pixel with a kernel of more, or in groups");
        return new Value(Layer(Dense(filters, bias is not null), [input], state, tensors), [filters, 1, 1]);
    }

    DenseLayer Dense(int units, bool useBias) => new(units)
    {
        UseBias = useBias, KernelInitializer = KernelInitializer, BiasInitializer = BiasInitializer,
    };

    /// <summary>alpha·A·B + beta·C, where A has the rows and B is a kernel.</summary>
    Operand Gemm()
    {
        if (In(0) is not Value x || In(1) is not Constant kernel || In(2) is not (null or Constant))
            return Fail("its kernel or bias is computed");
        if (node.Int("transA", 0) != 0)
            x = x.Rank == 2 ? x.Transposed([1, 0]) : x;
        if (kernel.Dimensions.Length != 2)
            throw node.Invalid($"the kernel has {kernel.Dimensions.Length} dimensions instead of 2");
        if (node.Int("transB", 0) == 0)
            kernel = kernel.Transposed([1, 0]);
        return Dense(x, kernel, (Constant?)In(2), node.Finite("alpha", 1), node.Finite("beta", 1));
    }

    Operand MultiplyMatrices()
    {
        if (In(0) is not Value x || In(1) is not Constant kernel)
            return Fail("it does not multiply rows by a kernel");
        return kernel.Dimensions.Length == 2
            ? Dense(x, kernel.Transposed([1, 0]), null, 1, 1)
            : Fail($"its kernel has {kernel.Dimensions.Length} dimensions");
    }

    /// <summary>A dense layer.</summary>
    /// <param name="x">The rows.</param>
    /// <param name="kernel">The kernel, of shape [units, inputs].</param>
    /// <param name="bias">One number for each unit, or for all; null for none.</param>
    /// <param name="alpha">A factor of the kernel.</param>
    /// <param name="beta">A factor of the bias.</param>
    Operand Dense(Value x, Constant kernel, Constant? bias, float alpha, float beta)
    {
        if (x.Rank != 2 || x.Order[0] != 0)
            return Fail($"it reads values of {x.Rank} dimensions that are not rows of features");
        (int units, int inputs) = (kernel.Dimensions[0], kernel.Dimensions[1]);
        if (inputs != x.Size || units == 0)
            throw node.Invalid($"the kernel is for {inputs} features, and a row has {x.Size}");
        if (bias is { Dimensions: [.., > 1, _] })
            return Fail("its bias differs from row to row");
        if (bias is not null && bias.Count != 1 && bias.Count != units)
            throw node.Invalid($"there are {units} units and {bias.Count} biases");
        Term? input = x.Moved is null ? Settle(x) : Settle(x.Term is InputTerm
            ? new Value(x.Term, x.Moved.Value.Shape)
            : new Value(x.Term, [.. x.Term.Shape.Dimensions]));
        if (input is null)
            return Fail("it reads values that are not rows of features");
        float[] values = Floats(kernel);
        if (x.Moved is { } moved)
        {
            values = MovedBack(values, units, moved.Shape, moved.Order);
            input = Flattened(input, x.Viewer);
        }
        float[]? biases = bias is null || beta == 0 ? null : Scaled(Repeated(Floats(bias), units), beta);
        // Before version 11 the operator had no form without a bias.
        if (biases is not null && Array.TrueForAll(biases, value => value == 0))
        {
            biases = null;
            notes.Add($"The bias of {node} is zero, and is left out.");
        }
        LayerTerm term = Layer(
            Dense(units, biases is not null), [input], StateOf(Scaled(values, alpha), biases), kernel.Name,
            bias?.Name ?? "");
        return new Value(term, [units]);
    }

    Operand Normalize()
    {
        if (In(0) is not Value x || In(1) is not Constant scale || In(2) is not Constant shift
            || In(3) is not Constant mean || In(4) is not Constant variance)
            return Fail("its parameters or statistics are computed");
        if (opSet < 9 && node.Int("spatial", 1) == 0 && x.Rank > 2)
            return Fail("spatial is 0: it has statistics for each place of an image");
        if (x.Rank < 2 || x[1] is not { } channels || x.Order[1] == 0)
            return Fail("it reads values without channels");
        foreach (Constant constant in (Constant[])[scale, shift, mean, variance])
        {
            if (constant.Count != channels)
                throw node.Invalid($"'{constant.Name}' has {constant.Count} values, and there are {channels} channels");
        }
        (double[] means, double[] variances) = (Doubles(mean), Doubles(variance));
        Value seen = x;
        // What is added before it belongs to the mean.
        if (x.Term is ScaleTerm { Map: { IsShift: true } map } && Settle(x) == x.Term
            && (map.Axis == 0 || map.Axis == x.Order[1]))
        {
            double[] offsets = [.. map.Offsets];
            for (int i = 0; i < channels; i++)
                means[i] -= offsets[map.Axis == 0 ? 0 : i];
            seen = x.With(x.Term.Inputs[0]);
        }
        if (Settle(seen) is not { } input || (input.Shape.Rank < seen.Shape.Length && x.Order[1] != 1))
            return Fail("it reads values whose shape has changed");
        if (opSet >= 14 && node.Int("training_mode", 0) != 0)
            notes.Add($"{node} was written in training mode; the network predicts with its moving statistics.");
        try
        {
            var state = new BatchNormalizationState(means, variances, Floats(scale), Floats(shift));
            BatchNormalizationOptions options = Normalization with
            {
                Axis = x.Order[1],
                Epsilon = Exact(node.Finite("epsilon", 1e-5f)),
                Momentum = node.Find("momentum") is null ? null : Exact(node.Finite("momentum", 0)),
            };
            return x.With(Layer(
                new BatchNormalizationLayer(options), [input], new LayerState(state), scale.Name, shift.Name, mean.Name,
                variance.Name));
        }
        catch (ArgumentException error)
        {
            throw node.Invalid(Check.Text(error).TrimEnd('.'));
        }
    }
}
