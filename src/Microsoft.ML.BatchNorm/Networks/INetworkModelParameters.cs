using Microsoft.ML.BatchNorm;

namespace Microsoft.ML.Trainers;

/// <summary>What a trained network's model has, whatever its task.</summary>
public interface INetworkModelParameters
{
    /// <summary>The network, with the switches that it was trained with.</summary>
    Network Network { get; }

    /// <summary>What it has learned.</summary>
    NetworkState State { get; }
}
