namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>Looks for where the numbers of a step stopped being finite, by running it once more.</summary>
sealed class Divergence(NetworkModule module, BatchSource batches, LossFunction loss)
{
    /// <summary>The error of the first layer whose output or gradient is not finite.</summary>
    public TrainingDivergedException Find(PendingStep step)
    {
        using var scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        Batch batch = batches.Take(step.Rows);
        module.SetTraining(true);
        var values = new List<Tensor>();
        foreach ((int i, LayerModule layer) in module.Layers.Index())
        {
            values.Add(module.ValueOf(i, batch.Features, values));
            if (!IsFinite(values[i]))
                return new(layer.Path);
        }
        if (step.Gradient is null || !IsFinite(loss.Of(values[^1], batch)))
            return new("");
        ParameterSlot? slot = Array.Find(
            module.Parameters.Trained, slot => !IsFinite(ParameterVector.Slice(step.Gradient, slot)));
        return new(slot?.LayerPath ?? "");
    }

    static bool IsFinite(Tensor tensor) => tensor.isfinite().all().item<bool>();
}
