namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>How a <see cref="TorchEngine"/> works. An immutable value, changed with <c>with { … }</c>.</summary>
public sealed record TorchEngineOptions
{
    /// <summary>
    /// Whether dense and convolutional layers multiply in bfloat16 in training: inputs, kernels and outputs are rounded
    /// to it, and the sums formed by libtorch in float32, except that a GPU may add a few parts of a sum in bfloat16.
    /// Parameters, batch normalization, loss and optimizer stay in float32, and so does prediction. The outputs have
    /// some three digits; Ampere and later GPUs are made for it. Default: false.
    /// </summary>
    /// <remarks>TorchSharp has no autocast; the casts that autocast would make stand in the layers.</remarks>
    public bool MixedPrecision { get; init; }

    /// <summary>
    /// How many bytes of training data may stay on the device between epochs. Data up to this size goes there once; of
    /// larger data each batch is gathered in pinned memory while the one before it computes, and copied; what a step
    /// finds wrong is then told by the next call. Recomputed statistics keep as many bytes between two layers. Default:
    /// 2 GiB.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative.</exception>
    public long DataBytesOnDevice
    {
        get;
        init => field = value >= 0 ? value : throw Check.OutOfRange(value, nameof(DataBytesOnDevice), "not negative");
    } = 2L << 30;
}
