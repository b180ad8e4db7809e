using Microsoft.ML.BatchNorm.TorchSharp.Runtime;

namespace Microsoft.ML.BatchNorm.TorchSharp.Training;

/// <summary>Adam and AdamW, as <see cref="AdamOptimizer"/> and <see cref="AdamWOptimizer"/> state them.</summary>
sealed class AdamTensorOptimizer(AdamOptimizer options, ParameterVector parameters)
    : TensorOptimizer(options, parameters, "m", "v")
{
    // Made once: memory that is new in each step takes the CPU longer than the square roots in it.
    readonly Tensor deviation = Tensors.Keep(torch.empty_like(parameters.Values));

    /// <summary>The divisor where ε and v are 0: what has never had a gradient stays.</summary>
    const double LeastEpsilon = 1e-37;

    public override void Apply(Tensor gradient, double learningRate, long number)
    {
        if (options is AdamWOptimizer)
            Decayed(Values).mul_(Scalars.Of(1 - learningRate * options.WeightDecay));
        else if (options.WeightDecay > 0)
            Decayed(gradient).add_(Decayed(Values), Scalars.Of(options.WeightDecay));
        Tensor m = Moment(0).mul_(Scalars.Of(options.Beta1)).add_(gradient, Scalars.Of(1 - options.Beta1));
        Tensor v = Moment(1).mul_(Scalars.Of(options.Beta2))
            .addcmul_(gradient, gradient, Scalars.Of(1 - options.Beta2));
        double mean = 1 - Math.Pow(options.Beta1, number), variance = 1 - Math.Pow(options.Beta2, number);
        deviation.copy_(v).sqrt_().div_(Scalars.Of(Math.Sqrt(variance)))
            .add_(Scalars.Of(Math.Max(options.Epsilon, LeastEpsilon)), Scalars.One);
        Values.addcdiv_(m, deviation, Scalars.Of(-learningRate / mean));
    }

    public override void Dispose()
    {
        deviation.Dispose();
        base.Dispose();
    }
}
