using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What training minimizes: the mean over a batch's rows, or with weights <c>Σ wᵢ·lossᵢ / Σ wᵢ</c>, as in PyTorch's
/// losses with class weights. An immutable value; its type says which loss it is.
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

    /// <summary>The number of targets per row of a network with that many outputs.</summary>
    public virtual int TargetsPerRow(int outputs) => outputs;
}

/// <summary><c>−log softmax(x)[target]</c>: one target per row, the index of its class.</summary>
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
/// <c>½(x − target)²</c> if |x − target| is at most δ, else <c>δ(|x − target| − ½δ)</c>, averaged over a row's outputs,
/// as in Keras and PyTorch.
/// </summary>
public sealed record HuberLoss : Loss
{
    /// <summary>The difference up to which the loss is a square; positive. Default: 1.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive and finite.</exception>
    public double Delta { get; init => field = Check.PositiveFinite(value, nameof(Delta)); } = 1;
}

/// <summary>
/// Loss and metric of one row in double: what an evaluation reports, on every engine. Engines have formulas of their
/// own for training, in float and with gradients.
/// </summary>
static class RowLoss
{
    public static double Of(Loss loss, ReadOnlySpan<float> output, ReadOnlySpan<float> target)
    {
        if (loss is SoftmaxCrossEntropyLoss)
            return LogSumExp(output) - output[(int)target[0]];
        double sum = 0;
        for (int i = 0; i < output.Length; i++)
            sum += Of(loss, output[i], target[i]);
        return sum / output.Length;
    }

    /// <summary>The accuracy for cross-entropies, the mean absolute error for other losses.</summary>
    public static double Metric(Loss loss, ReadOnlySpan<float> output, ReadOnlySpan<float> target)
    {
        if (loss is SoftmaxCrossEntropyLoss)
            return FirstGreatest(output) == (int)target[0] ? 1 : 0;
        double sum = 0;
        for (int i = 0; i < output.Length; i++)
            sum += loss is BinaryCrossEntropyLoss
                ? output[i] > 0 == target[i] >= 0.5f ? 1 : 0
                : Math.Abs((double)output[i] - target[i]);
        return sum / output.Length;
    }

    static double Of(Loss loss, double x, double target)
    {
        double difference = Math.Abs(x - target);
        return loss switch
        {
            BinaryCrossEntropyLoss => Math.Max(x, 0) - x * target + double.LogP1(Math.Exp(-Math.Abs(x))),
            MeanAbsoluteErrorLoss => difference,
            HuberLoss { Delta: var delta } when difference > delta => delta * (difference - delta / 2),
            HuberLoss => difference * difference / 2,
            _ => difference * difference,
        };
    }

    static double LogSumExp(ReadOnlySpan<float> output)
    {
        double greatest = output[FirstGreatest(output)], sum = 0;
        foreach (float value in output)
            sum += Math.Exp(value - greatest);
        return greatest + Math.Log(sum);
    }

    public static int FirstGreatest(ReadOnlySpan<float> output)
    {
        int best = 0;
        for (int i = 1; i < output.Length; i++)
        {
            if (output[i] > output[best])
                best = i;
        }
        return best;
    }
}
