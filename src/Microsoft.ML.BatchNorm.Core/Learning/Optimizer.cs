using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// How gradients change parameters. An immutable value; its type says which optimizer it is. The formulas are
/// PyTorch's, the defaults Keras's.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(SgdOptimizer), "sgd")]
[JsonDerivedType(typeof(AdamOptimizer), "adam")]
[JsonDerivedType(typeof(AdamWOptimizer), "adamW")]
public abstract record Optimizer
{
    private protected Optimizer(double learningRate) => LearningRate = learningRate;

    /// <summary>The learning rate, before <see cref="TrainingOptions.LearningRateSchedule"/>; at least 0.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or not finite.</exception>
    public double LearningRate { get; init => field = Check.NotNegative(value, nameof(LearningRate)); }

    /// <summary>
    /// The share of each parameter that is added to its gradient; for <see cref="AdamWOptimizer"/>, that share times
    /// the learning rate is subtracted from the parameter itself. At least 0. <see cref="DecayedParameters"/> says
    /// which parameters. Default: 0, for AdamW 0.01.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or not finite.</exception>
    public double WeightDecay { get; init => field = Check.NotNegative(value, nameof(WeightDecay)); }

    /// <summary>
    /// Which parameters <see cref="WeightDecay"/> applies to. Default: only the kernels, since shrinking γ and β
    /// towards 0 regularizes nothing; PyTorch and Keras decay all parameters by default.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not defined.</exception>
    public DecayedParameters DecayedParameters
    {
        get;
        init => field = Check.Defined(value, nameof(DecayedParameters));
    }

    /// <summary>Stochastic gradient descent.</summary>
    public static SgdOptimizer Sgd(double learningRate = 0.01, double momentum = 0, bool nesterov = false) =>
        new() { LearningRate = learningRate, Momentum = momentum, Nesterov = nesterov };

    /// <summary>Adam.</summary>
    public static AdamOptimizer Adam(double learningRate = 0.001) => new() { LearningRate = learningRate };

    /// <summary>Adam with decoupled weight decay.</summary>
    public static AdamWOptimizer AdamW(
        double learningRate = 0.001, double weightDecay = 0.01,
        DecayedParameters decayedParameters = DecayedParameters.Kernels) =>
        new() { LearningRate = learningRate, WeightDecay = weightDecay, DecayedParameters = decayedParameters };
}

/// <summary>
/// <c>g ← g + decay·p; v ← momentum·v + g; p ← p − rate·v</c>, or with Nesterov's momentum
/// <c>p ← p − rate·(g + momentum·v)</c>; without momentum <c>p ← p − rate·g</c>.
/// </summary>
public sealed record SgdOptimizer() : Optimizer(0.01)
{
    /// <summary>The share of the last step that is added to the next one, from 0 to 1. Default: 0.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not between 0 and 1.</exception>
    public double Momentum { get; init => field = Check.Share(value, nameof(Momentum)); }

    /// <summary>Whether the momentum is Nesterov's (Sutskever and others, 2013). Default: false.</summary>
    public bool Nesterov { get; init; }
}

/// <summary>
/// <c>g ← g + decay·p; m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; p ← p − rate·m̂/(√v̂ + ε)</c> with
/// <c>m̂ = m/(1 − β₁ᵗ)</c>, <c>v̂ = v/(1 − β₂ᵗ)</c> (Kingma and Ba, 2015).
/// </summary>
public record AdamOptimizer() : Optimizer(0.001)
{
    /// <summary>β₁, from 0 to 1. Default: 0.9.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not between 0 and 1.</exception>
    public double Beta1 { get; init => field = Check.Share(value, nameof(Beta1)); } = 0.9;

    /// <summary>β₂, from 0 to 1. Default: 0.999.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not between 0 and 1.</exception>
    public double Beta2 { get; init => field = Check.Share(value, nameof(Beta2)); } = 0.999;

    /// <summary>
    /// ε, at least 0. Default: 1e-7, as in Keras, also for a network with <see cref="NetworkPreset.PyTorch"/>;
    /// PyTorch's is 1e-8.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or not finite.</exception>
    public double Epsilon { get; init => field = Check.NotNegative(value, nameof(Epsilon)); } = 1e-7;
}

/// <summary>
/// Adam with <c>p ← p − rate·decay·p</c> before the step instead of decay in the gradient (Loshchilov and Hutter,
/// 2019).
/// </summary>
public sealed record AdamWOptimizer : AdamOptimizer
{
    /// <summary>AdamW with its defaults.</summary>
    public AdamWOptimizer() => WeightDecay = 0.01;
}

/// <summary>Which parameters <see cref="Optimizer.WeightDecay"/> applies to.</summary>
public enum DecayedParameters
{
    /// <summary>
    /// Only the kernels of dense and convolutional layers, not γ, β and biases; of a TorchScript module, the parameters
    /// with more than one dimension.
    /// </summary>
    Kernels,

    /// <summary>All parameters that train, which is the default in PyTorch and Keras.</summary>
    All,
}

/// <summary>
/// What an optimizer has accumulated over its steps: moments, each in the layout of its parameter, by names such as
/// <c>dense/kernel/m</c>. An immutable value.
/// </summary>
/// <param name="Steps">The number of steps taken.</param>
/// <param name="Moments">
/// By name: the parameter's path, followed by <c>velocity</c> for SGD with momentum, <c>m</c> and <c>v</c> for Adam.
/// </param>
public sealed record OptimizerState(long Steps, ImmutableSortedDictionary<string, ImmutableArray<float>> Moments)
{
    /// <summary>An optimizer that has taken no step.</summary>
    public static OptimizerState Empty { get; } =
        new(0, ImmutableSortedDictionary.Create<string, ImmutableArray<float>>(StringComparer.Ordinal));
}
