namespace Microsoft.ML.BatchNorm;

/// <summary>The type of a tensor's elements, named as in safetensors.</summary>
public enum TensorType
{
    /// <summary>IEEE single precision, for learned values.</summary>
    F32,

    /// <summary>IEEE double precision, for statistics.</summary>
    F64,

    /// <summary>Whole numbers of 64 bits, for a number of batches.</summary>
    I64,

    /// <summary>Bytes, for a TorchScript module.</summary>
    U8,
}

/// <summary>What a layer uses a tensor for.</summary>
public enum TensorRole
{
    /// <summary>
    /// Learned weights between inputs and outputs. Weight decay shrinks these; by default, only these.
    /// </summary>
    Kernel,

    /// <summary>Learned values, one per output or channel: a bias, γ or β.</summary>
    Affine,

    /// <summary>Statistics, which the batches of training move, not gradients: moving mean and variance.</summary>
    Statistic,

    /// <summary>Values that are stored with the layer but are not counted as its parameters.</summary>
    Other,
}

/// <summary>Describes one tensor of a layer. An immutable value.</summary>
/// <remarks>
/// Each layer declares its tensors once. The declarations determine a network's state and its checks, first values, the
/// counts of the summary, what training changes, weight decay, and the names in files.
/// </remarks>
/// <param name="Name">Its name in the layer's <see cref="LayerState"/>: <c>kernel</c>, <c>moving_mean</c>.</param>
/// <param name="Shape">Its dimensions; null for any number of bytes.</param>
/// <param name="Type">The type of its elements.</param>
/// <param name="Role">What the layer uses it for.</param>
public sealed record TensorSpec(string Name, TensorShape? Shape, TensorType Type, TensorRole Role)
{
    /// <summary>
    /// Whether training changes it with the switches as they are: learned values by gradients, statistics by the
    /// batches.
    /// </summary>
    public bool IsTrained { get; init; }

    /// <summary>Whether a state may lack it.</summary>
    public bool IsOptional { get; init; }

    /// <summary>The penalty on its values that is added to the loss, or null.</summary>
    public Regularizer? Regularizer { get; init; }

    /// <summary>The constraint that its values are projected onto after each step, or null.</summary>
    public Constraint? Constraint { get; init; }

    /// <summary>The numbers of inputs and outputs that a value connects, for initializers that scale by them.</summary>
    internal (long In, long Out) Fan { get; init; }

    /// <summary>How it gets its first values; null if the layer itself gives them.</summary>
    internal IInitializer? Initializer { get; init; }

    /// <summary>Whether gradients change it when it is trained, so that it is no statistic.</summary>
    internal bool IsLearned => Role is TensorRole.Kernel or TensorRole.Affine;
}
