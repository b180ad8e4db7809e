using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What training makes small: the mean over a batch's rows, or with weights <c>Σ wᵢ·lossᵢ / Σ wᵢ</c>, as PyTorch's
/// losses with class weights. Immutable values, told apart by their type.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(SoftmaxCrossEntropyLoss), "softmaxCrossEntropy")]
[JsonDerivedType(typeof(BinaryCrossEntropyLoss), "binaryCrossEntropy")]
[JsonDerivedType(typeof(MeanSquaredErrorLoss), "meanSquaredError")]
[JsonDerivedType(typeof(MeanAbsoluteErrorLoss), "meanAbsoluteError")]
[JsonDerivedType(typeof(HuberLoss), "huber")]
public abstract record Loss
{
    private protected Loss()
    {
    }

    /// <summary>
    /// Softmax and cross-entropy of the network's outputs (logits); the target is the index of the class.
    /// </summary>
    public static SoftmaxCrossEntropyLoss SoftmaxCrossEntropy { get; } = new();

    /// <summary>Sigmoid and cross-entropy of each output (logit); targets from 0 to 1.</summary>
    public static BinaryCrossEntropyLoss BinaryCrossEntropy { get; } = new();

    /// <summary>The squared difference, averaged over a row's outputs.</summary>
    public static MeanSquaredErrorLoss MeanSquaredError { get; } = new();

    /// <summary>The absolute difference, averaged over a row's outputs; its gradient at 0 is 0.</summary>
    public static MeanAbsoluteErrorLoss MeanAbsoluteError { get; } = new();

    /// <summary>
    /// Squared below <paramref name="delta"/>, linear above, averaged over a row's outputs (Huber, 1964).
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive and finite.</exception>
    public static HuberLoss Huber(double delta = 1) => new() { Delta = delta };

    /// <summary>The number of targets that a row has where the network has that many outputs.</summary>
    public virtual int TargetsPerRow(int outputs) => outputs;
}

/// <summary><c>−log softmax(x)[target]</c>: one target a row, the index of its class.</summary>
public sealed record SoftmaxCrossEntropyLoss : Loss
{
    /// <inheritdoc/>
    public override int TargetsPerRow(int outputs) => 1;
}

/// <summary><c>max(x, 0) − x·target + log(1 + e^−|x|)</c>, averaged over a row's outputs.</summary>
public sealed record BinaryCrossEntropyLoss : Loss;

/// <summary><c>(x − target)²</c>, averaged over a row's outputs.</summary>
public sealed record MeanSquaredErrorLoss : Loss;

/// <summary><c>|x − target|</c>, averaged over a row's outputs.</summary>
public sealed record MeanAbsoluteErrorLoss : Loss;

/// <summary>
/// <c>½(x − target)²</c> where that difference is at most δ, else <c>δ(|x − target| − ½δ)</c>, averaged over a row's
/// outputs: Keras's and PyTorch's.
/// </summary>
public sealed record HuberLoss : Loss
{
    /// <summary>Where the square ends, positive. Default: 1.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive and finite.</exception>
    public double Delta { get; init => field = Check.PositiveFinite(value, nameof(Delta)); } = 1;
}
