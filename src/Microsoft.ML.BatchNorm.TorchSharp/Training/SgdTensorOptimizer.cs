using Microsoft.ML.BatchNorm.TorchSharp.Runtime;

namespace Microsoft.ML.BatchNorm.TorchSharp.Training;

/// <summary>Stochastic gradient descent, as <see cref="SgdOptimizer"/> states it.</summary>
sealed class SgdTensorOptimizer(SgdOptimizer options, ParameterVector parameters)
    : TensorOptimizer(options, parameters, options.Momentum > 0 ? ["velocity"] : [])
{
    public override void Apply(Tensor gradient, double learningRate, long number)
    {
        Tensor step = gradient;
        if (options.WeightDecay > 0)
            Decayed(step).add_(Decayed(Values), Scalars.Of(options.WeightDecay));
        if (options.Momentum > 0)
        {
            Tensor velocity = Moment(0).mul_(Scalars.Of(options.Momentum)).add_(step, Scalars.One);
            step = options.Nesterov ? step.add_(velocity, Scalars.Of(options.Momentum)) : velocity;
        }
        Values.add_(step, Scalars.Of(-learningRate));
    }
}
