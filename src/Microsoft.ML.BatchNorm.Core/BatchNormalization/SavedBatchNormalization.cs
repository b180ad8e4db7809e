namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What <see cref="BatchNormalizationState.Load"/> or <see cref="BatchNormalizationState.LoadSafetensors"/> found: how
/// a layer computes, and what it has learned. Equal when both are.
/// </summary>
/// <param name="Options">
/// The layer's options. From a file that states none they are those that its names imply:
/// <see cref="BatchNormalizationOptions.PyTorch"/> or <see cref="BatchNormalizationOptions.Keras"/>, with γ and β as
/// the file has them. If you know better, say so:
/// <c>saved with { Options = saved.Options with { Epsilon = 1e-4 } }</c>.
/// </param>
/// <param name="State">The layer's state.</param>
public sealed record SavedBatchNormalization(BatchNormalizationOptions Options, BatchNormalizationState State);
