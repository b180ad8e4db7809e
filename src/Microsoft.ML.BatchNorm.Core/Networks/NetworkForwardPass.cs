namespace Microsoft.ML.BatchNorm;

/// <summary>What <see cref="Network.Forward"/> leaves behind.</summary>
/// <param name="Outputs">One row of outputs for each of the features, row after row.</param>
/// <param name="NextState">
/// The state after the call: the one before it, the same object, where no statistic moved.
/// </param>
public sealed record NetworkForwardPass(float[] Outputs, NetworkState NextState);
