using Microsoft.ML.BatchNorm.TorchSharp.Layers;
using Microsoft.ML.BatchNorm.TorchSharp.Runtime;

namespace Microsoft.ML.BatchNorm.TorchSharp.Training;

/// <summary>Looks for where the numbers of a step stopped being finite, by running it once more.</summary>
sealed class Divergence(NetworkModule module, BatchSource batches, LossFunction loss)
{
    /// <summary>The error to throw: the input's, or that of the first layer whose output or gradient is not finite.</summary>
    public Exception Find(PendingStep step)
    {
        using var scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        Batch batch = batches.Take(step.Rows);
        if (!IsFinite(batch.Features))
            return new InvalidDataException(Input(batch.Features.reshape(step.Rows.Length, -1), step.Rows));
        module.SetTraining(true);
        Tensor x = batch.Features;
        foreach (LayerModule layer in module.Layers)
        {
            x = layer.forward(x);
            if (!IsFinite(x))
                return new TrainingDivergedException(layer.Path);
        }
        if (step.Gradient is null || !IsFinite(loss.Of(x, batch)))
            return new TrainingDivergedException("");
        ParameterSlot? slot = Array.Find(
            module.Parameters.Trained, slot => !IsFinite(ParameterMemory.Slice(step.Gradient, slot)));
        return new TrainingDivergedException(slot?.LayerPath ?? "");
    }

    static string Input(Tensor features, int[] rows)
    {
        float[] values = Tensors.Download<float>(features);
        int width = values.Length / rows.Length, index = Array.FindIndex(values, value => !float.IsFinite(value));
        return FormattableString.Invariant(
            $"A feature is not finite: row {rows[index / width]}, feature {index % width} is {values[index]}.");
    }

    static bool IsFinite(Tensor tensor) => tensor.isfinite().all().item<bool>();
}
