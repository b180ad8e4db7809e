namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What <see cref="Network.Load"/> or <see cref="Network.LoadSafetensors"/> found: a network and what it has learned.
/// Equal when both are.
/// </summary>
/// <param name="Network">The network, with its layers' names and switches.</param>
/// <param name="State">Its state, which fits it.</param>
public sealed record SavedNetwork(Network Network, NetworkState State);
