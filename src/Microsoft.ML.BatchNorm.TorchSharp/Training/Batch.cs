namespace Microsoft.ML.BatchNorm.TorchSharp.Training;

/// <summary>Rows on the device.</summary>
/// <param name="Features">In the shape of a batch of the network's input.</param>
/// <param name="Targets">One row of targets for each.</param>
/// <param name="Weights">One weight a row, or null.</param>
sealed record Batch(Tensor Features, Tensor Targets, Tensor? Weights);
