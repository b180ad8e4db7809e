using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// Updates all parameters at once, in their vector, and keeps the moments. TorchSharp's own optimizers take several
/// operations for each parameter.
/// </summary>
abstract class TensorOptimizer : IDisposable
{
    readonly Optimizer options;
    readonly ParameterVector parameters;
    readonly (string Name, Tensor Values)[] moments;

    protected TensorOptimizer(Optimizer options, ParameterVector parameters, params string[] names)
    {
        (this.options, this.parameters) = (options, parameters);
        moments = Array.ConvertAll(names, name => (name, Tensors.Keep(torch.zeros_like(parameters.Values))));
    }

    protected Tensor Values => parameters.Values;

    public static TensorOptimizer Of(Optimizer optimizer, ParameterVector parameters) => optimizer switch
    {
        SgdOptimizer sgd => new SgdTensorOptimizer(sgd, parameters),
        AdamOptimizer adam => new AdamTensorOptimizer(adam, parameters),
        _ => throw new NotSupportedException($"{optimizer.GetType().Name} is not an optimizer of this engine."),
    };

    /// <summary>Updates the parameters. Call it inside a dispose scope and without gradients.</summary>
    /// <param name="gradient">The gradient of all trained values. The optimizer may overwrite it.</param>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="step">The number of the step, from 1.</param>
    public abstract void Apply(Tensor gradient, double learningRate, long step);

    public ImmutableSortedDictionary<string, ImmutableArray<float>> Read()
    {
        var read = ImmutableSortedDictionary.CreateBuilder<string, ImmutableArray<float>>(StringComparer.Ordinal);
        foreach ((string name, Tensor vector) in moments)
        {
            float[] values = Tensors.Download<float>(vector);
            foreach (DeviceParameter parameter in parameters.Trained)
                read.Add($"{parameter.Path}/{name}", [.. parameter.SliceOf(values)]);
        }
        return read.ToImmutable();
    }

    /// <exception cref="ArgumentException">
    /// Moments are missing, have another length, or belong to other parameters.
    /// </exception>
    public void Write(ImmutableSortedDictionary<string, ImmutableArray<float>> known)
    {
        string[] names =
        [
            .. from moment in moments
               from parameter in parameters.Trained
               select $"{parameter.Path}/{moment.Name}",
        ];
        foreach (string name in names.Except(known.Keys, StringComparer.Ordinal))
            throw new ArgumentException($"The optimizer's state has no '{name}'.", nameof(known));
        foreach (string name in known.Keys.Except(names, StringComparer.Ordinal))
            throw new ArgumentException($"The optimizer has no '{name}'.", nameof(known));
        float[][] vectors = Array.ConvertAll(moments, moment => Vector(known, moment.Name));
        using IDisposable noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        for (int i = 0; i < moments.Length; i++)
            moments[i].Values.copy_(Tensors.Upload<float>(vectors[i], torch.CPU, parameters.Length));
    }

    public void Clear()
    {
        using IDisposable noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        foreach ((_, Tensor values) in moments)
            values.zero_();
    }

    public virtual void Dispose() => Array.ForEach(moments, moment => moment.Values.Dispose());

    protected Tensor Moment(int index) => moments[index].Values;

    /// <summary>The part of a vector, one value per parameter value, to which weight decay applies.</summary>
    protected Tensor Decayed(Tensor vector) => options.DecayedParameters == DecayedParameters.All
        ? vector
        : vector.narrow(0, 0, parameters.KernelLength);

    float[] Vector(ImmutableSortedDictionary<string, ImmutableArray<float>> known, string name)
    {
        float[] vector = new float[parameters.Length];
        foreach (DeviceParameter parameter in parameters.Trained)
        {
            ImmutableArray<float> values = known[$"{parameter.Path}/{name}"];
            if (values.Length != parameter.Initial.Length)
                throw new ArgumentException(
                    $"'{parameter.Path}/{name}' has {values.Length} values for {parameter.Initial.Length} parameters.",
                    nameof(known));
            values.CopyTo(vector, (int)parameter.Offset);
        }
        return vector;
    }
}

/// <summary>Stochastic gradient descent, as <see cref="SgdOptimizer"/> defines it.</summary>
sealed class SgdTensorOptimizer(SgdOptimizer options, ParameterVector parameters)
    : TensorOptimizer(options, parameters, options.Momentum > 0 ? ["velocity"] : [])
{
    public override void Apply(Tensor gradient, double learningRate, long step)
    {
        if (options.WeightDecay > 0)
            Decayed(gradient).add_(Decayed(Values), Scalars.Of(options.WeightDecay));
        Tensor direction = gradient;
        if (options.Momentum > 0)
        {
            Tensor velocity = Moment(0).mul_(Scalars.Of(options.Momentum)).add_(gradient, Scalars.One);
            direction = options.Nesterov ? gradient.add_(velocity, Scalars.Of(options.Momentum)) : velocity;
        }
        Values.add_(direction, Scalars.Of(-learningRate));
    }
}

/// <summary>Adam and AdamW, as <see cref="AdamOptimizer"/> and <see cref="AdamWOptimizer"/> define them.</summary>
sealed class AdamTensorOptimizer(AdamOptimizer options, ParameterVector parameters)
    : TensorOptimizer(options, parameters, "m", "v")
{
    // Allocated once: on the CPU, new memory in each step takes longer than the square roots.
    readonly Tensor deviation = Tensors.Keep(torch.empty_like(parameters.Values));

    /// <summary>
    /// Replaces an ε of 0, so that a parameter which has never had a gradient, whose v is 0, does not change.
    /// </summary>
    const double LeastEpsilon = 1e-37;

    public override void Apply(Tensor gradient, double learningRate, long step)
    {
        if (options is AdamWOptimizer)
            Decayed(Values).mul_(Scalars.Of(1 - learningRate * options.WeightDecay));
        else if (options.WeightDecay > 0)
            Decayed(gradient).add_(Decayed(Values), Scalars.Of(options.WeightDecay));
        Tensor m = Moment(0).mul_(Scalars.Of(options.Beta1)).add_(gradient, Scalars.Of(1 - options.Beta1));
        Tensor v = Moment(1).mul_(Scalars.Of(options.Beta2))
            .addcmul_(gradient, gradient, Scalars.Of(1 - options.Beta2));
        double mean = 1 - Math.Pow(options.Beta1, step), variance = 1 - Math.Pow(options.Beta2, step);
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
