namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>A layer that is the same function of its input in both modes.</summary>
sealed class FunctionModule(NetworkNode node, Func<Tensor, Tensor> function) : LayerModule(node)
{
    public override Tensor forward(Tensor x) => function(x);

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

    public static FunctionModule Of(NetworkNode node, Pool2DLayer layer)
    {
        Window2D window = layer.Window;
        long[] size = [window.Size.Height, window.Size.Width], stride = [window.Stride.Height, window.Stride.Width];
        long[] padding = [window.Padding.Height, window.Padding.Width];
        return new(node, layer.Function == Pooling.Max
            ? x => F.max_pool2d(x, size, stride, padding)
            : x => F.avg_pool2d(x, size, stride, padding));
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
}
