namespace Microsoft.ML.BatchNorm.TorchSharp.Training;

/// <summary>Stochastic gradient descent, as <see cref="SgdOptimizer"/> states it.</summary>
sealed class SgdTensorOptimizer(SgdOptimizer options, ParameterVector parameters)
    : TensorOptimizer(options, parameters, options.Momentum > 0 ? ["velocity"] : [])
{
    public override void Apply(Tensor gradient, double learningRate, long number)
    {
        Tensor step = gradient;
        if (options.WeightDecay > 0)
            Decayed(step).add_(Decayed(Values), options.WeightDecay);
        if (options.Momentum > 0)
        {
            Tensor velocity = Moment(0).mul_(options.Momentum).add_(step, 1);
            step = options.Nesterov ? step.add_(velocity, options.Momentum) : velocity;
        }
        Values.add_(step, -learningRate);
    }
}
