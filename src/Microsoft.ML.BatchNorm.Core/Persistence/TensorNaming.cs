namespace Microsoft.ML.BatchNorm;

/// <summary>The framework whose names the tensors of a safetensors file have.</summary>
public enum TensorNaming
{
    /// <summary>
    /// <c>weight</c>, <c>bias</c>, <c>running_mean</c>, <c>running_var</c> and <c>num_batches_tracked</c>, as in the
    /// state_dict of <c>torch.nn.BatchNorm*</c>. The default.
    /// </summary>
    PyTorch,

    /// <summary>
    /// <c>gamma</c>, <c>beta</c>, <c>moving_mean</c> and <c>moving_variance</c>, and with renormalization
    /// <c>moving_stddev</c>, <c>renorm_mean</c> and <c>renorm_stddev</c>, as the variables of
    /// <c>BatchNormalization</c> in Keras.
    /// </summary>
    Keras,
}
