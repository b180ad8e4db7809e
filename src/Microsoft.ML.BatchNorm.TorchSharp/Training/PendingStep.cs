using Microsoft.ML.BatchNorm.TorchSharp.Runtime;

namespace Microsoft.ML.BatchNorm.TorchSharp.Training;

/// <summary>What the host reads of a step.</summary>
/// <param name="Loss">The loss.</param>
/// <param name="Sum">The sum of the gradients in float, which overflows where they are large.</param>
/// <param name="Norm">Their norm, if it was asked for.</param>
readonly record struct StepResult(double Loss, double Sum, double Norm);

/// <summary>A step of which loss and gradient are formed on the device, and nothing is changed yet.</summary>
sealed class PendingStep : IDisposable
{
    readonly Tensor result;

    PendingStep(Tensor result, Tensor? gradient, int[] rows, double learningRate) =>
        (this.result, Gradient, Rows, LearningRate) = (result, gradient, rows, learningRate);

    /// <summary>
    /// The gradient of all trained parameters, until the next one is taken; null where there are none.
    /// </summary>
    public Tensor? Gradient { get; }

    public int[] Rows { get; }

    public double LearningRate { get; }

    /// <summary>Takes the gradients of a loss; inside a dispose scope.</summary>
    public static PendingStep Of(
        ParameterVector parameters, Tensor loss, int[] rows, double learningRate, bool needsNorm)
    {
        Tensor sum = torch.zeros_like(loss), norm = sum;
        if (parameters.Length > 0)
        {
            parameters.TakeGradient(loss);
            using IDisposable noGradient = torch.no_grad();
            sum = parameters.Gradient.sum().to(ScalarType.Float64);
            norm = needsNorm ? parameters.GradientNorm() : sum;
        }
        return new(
            Tensors.Keep(torch.stack([loss.detach(), sum, norm])), parameters.Length > 0 ? parameters.Gradient : null,
            rows, learningRate);
    }

    public StepResult Read()
    {
        double[] values = Tensors.Download<double>(result);
        return new(values[0], values[1], values[2]);
    }

    /// <summary>Whether loss and gradients are finite.</summary>
    public bool IsFinite(StepResult read) =>
        double.IsFinite(read.Loss) && (double.IsFinite(read.Sum) || Gradient!.isfinite().all().item<bool>());

    public void Dispose() => result.Dispose();
}
