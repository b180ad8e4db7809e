namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>A layer that is the same function of its input in both modes.</summary>
/// <param name="node">The layer in its network.</param>
/// <param name="function">The function.</param>
/// <param name="constant">A tensor that the function needs and the module disposes of, or null.</param>
sealed class FunctionModule(NetworkNode node, Func<Tensor, Tensor> function, Tensor? constant = null)
    : LayerModule(node)
{
    public override Tensor forward(Tensor x) => function(x);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            constant?.Dispose();
        base.Dispose(disposing);
    }

    /// <param name="node">The layer in its network.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="takesInfinite">Whether the network takes features that are infinite.</param>
    public static FunctionModule Of(NetworkNode node, ActivationLayer layer, bool takesInfinite)
    {
        Func<Tensor, Tensor> function = layer.EffectiveFunction switch
        {
            Activation.ReLU => x => x.relu(),
            Activation.LeakyReLU => x => x.leaky_relu(Scalars.Of(layer.EffectiveSlope)),
            Activation.Gelu => x => F.gelu(x),
            Activation.Sigmoid => x => x.sigmoid(),
            Activation.Tanh => x => x.tanh(),
            Activation.SiLU => x => F.silu(x),
            Activation.HardSwish => x => F.hardswish(x),
            Activation.HardSigmoid => x => F.hardsigmoid(x),
            Activation.ReLU6 => x => F.relu6(x),
            _ => throw new NotSupportedException(
                $"Layer '{node.Path}': {layer.Function} is not an activation of this engine."),
        };
        bool isProduct = layer.EffectiveFunction is Activation.Gelu or Activation.SiLU or Activation.HardSwish;
        return new(node, takesInfinite && isProduct ? x => WithLimits(x, function) : function);
    }

    /// <summary>
    /// A product of x and a factor, with its limits at ±∞, which are those of ReLU. libtorch would compute ∞·0 there.
    /// </summary>
    static Tensor WithLimits(Tensor x, Func<Tensor, Tensor> function)
    {
        Tensor isInfinite = x.isinf();
        return torch.where(isInfinite, x.relu(), function(x.masked_fill(isInfinite, Scalars.Of(0))));
    }

    /// <remarks>
    /// libtorch's pools take the same padding on opposite sides, at most half a window, and count all of it in a mean or
    /// none. For other padding, and where windows see beyond it, the image is padded first.
    /// </remarks>
    public static FunctionModule Of(NetworkNode node, Pool2DLayer layer, torch.Device device)
    {
        Window2D window = layer.Window.On(node.Input);
        long[] size = [window.Size.Height, window.Size.Width], stride = [window.Stride.Height, window.Stride.Width];
        Padding2D around = window.Around(node.Input);
        if (around == window.Padding && around.IsSymmetric && 2 * around.Top <= size[0] && 2 * around.Left <= size[1])
        {
            long[] both = [around.Top, around.Left];
            return new(node, layer.Function == Pooling.Max
                ? x => F.max_pool2d(x, size, stride, both)
                : x => F.avg_pool2d(x, size, stride, both, count_include_pad: layer.CountIncludePad));
        }
        long[] sides = [around.Left, around.Right, around.Top, around.Bottom];
        if (layer.Function == Pooling.Max)
            return new(node, x => F.max_pool2d(F.pad(x, sides, value: double.NegativeInfinity), size, stride));
        var windows = new ImageWindows(node.Input, window);
        float[] factors = PoolKernels.Corrections(windows, layer.CountIncludePad);
        Tensor correction = Tensors.Keep(
            Tensors.Upload<float>(factors, device, 1, 1, windows.PlaceLines, windows.LinePlaces));
        return new(node, x => F.avg_pool2d(F.pad(x, sides), size, stride).mul(correction), correction);
    }

    public static FunctionModule Flatten(NetworkNode node) => new(node, x => x.reshape(x.shape[0], -1));

    public static FunctionModule GlobalAverage(NetworkNode node) => new(node, x => x.mean([2, 3], false));
}

/// <summary>A layer that is one function of several inputs.</summary>
sealed class MergeModule(NetworkNode node, Func<Tensor[], Tensor> function) : LayerModule(node)
{
    public override Tensor forward(Tensor x) => Forward([x]);

    public override Tensor Forward(Tensor[] inputs) => function(inputs);

    public static MergeModule Add(NetworkNode node) =>
        new(node, inputs => inputs.Aggregate((sum, input) => sum.add(input, Scalars.One)));

    public static MergeModule Concat(NetworkNode node) => new(node, inputs => torch.cat(inputs, 1));

    /// <summary>Factors per channel get dimensions of 1 behind them, along which libtorch repeats them.</summary>
    public static MergeModule Multiply(NetworkNode node)
    {
        long[] factors = node.InputShapes[0].Equals(node.InputShapes[1])
            ? [-1, .. node.Input.Dimensions.ToArray().Select(size => (long)size)]
            : [-1, node.Input[0], .. Enumerable.Repeat(1L, node.Input.Rank - 1)];
        return new(node, inputs => inputs[0].mul(inputs[1].reshape(factors)));
    }
}
