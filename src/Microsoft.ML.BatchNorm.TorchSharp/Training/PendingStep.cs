using Microsoft.ML.BatchNorm.TorchSharp.Runtime;

namespace Microsoft.ML.BatchNorm.TorchSharp.Training;

/// <summary>What the host reads of a step.</summary>
readonly record struct StepResult(double Loss, double Sum, double Norm)
{
    /// <summary>Whether loss and gradients are finite; a sum in double of finite floats is.</summary>
    public bool IsFinite => double.IsFinite(Loss) && double.IsFinite(Sum);
}

/// <summary>A step of which loss and gradient are formed on the device, and nothing is changed yet.</summary>
sealed class PendingStep : IDisposable
{
    readonly Tensor result;

    PendingStep(Tensor result, Tensor? gradient, int[] rows, double learningRate) =>
        (this.result, Gradient, Rows, LearningRate) = (result, gradient, rows, learningRate);

    /// <summary>The gradient of all trained parameters behind each other, or null where there are none.</summary>
    public Tensor? Gradient { get; }

    public int[] Rows { get; }

    public double LearningRate { get; }

    /// <summary>Takes the gradients of a loss; inside a dispose scope.</summary>
    public static PendingStep Of(
        ParameterVector parameters, Tensor loss, int[] rows, double learningRate, bool needsNorm)
    {
        Tensor? gradient = null;
        Tensor sum = torch.zeros_like(loss), norm = sum;
        if (parameters.Leaves.Length > 0)
        {
            gradient = Tensors.Keep(Gradients.Of(loss, parameters.Leaves));
            using IDisposable noGradient = torch.no_grad();
            sum = gradient.sum(ScalarType.Float64);
            norm = needsNorm ? gradient.to(ScalarType.Float64).norm() : sum;
        }
        return new(Tensors.Keep(torch.stack([loss.detach(), sum, norm])), gradient, rows, learningRate);
    }

    public StepResult Read()
    {
        double[] values = Tensors.Download<double>(result);
        return new(values[0], values[1], values[2]);
    }

    public void Dispose()
    {
        result.Dispose();
        Gradient?.Dispose();
    }
}
