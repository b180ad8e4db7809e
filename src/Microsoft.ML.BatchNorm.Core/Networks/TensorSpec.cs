namespace Microsoft.ML.BatchNorm;

/// <summary>The type of a tensor's elements, by its name in safetensors.</summary>
public enum TensorType
{
    /// <summary>IEEE single precision: what is learned.</summary>
    F32,

    /// <summary>IEEE double precision: statistics.</summary>
    F64,

    /// <summary>Whole numbers of 64 bits: a number of batches.</summary>
    I64,

    /// <summary>Bytes: a TorchScript module.</summary>
    U8,
}

/// <summary>What a tensor is to its layer.</summary>
public enum TensorRole
{
    /// <summary>Learned weights between inputs and outputs, which weight decay draws to zero.</summary>
    Kernel,

    /// <summary>Learned values, one per output or channel: a bias, γ or β.</summary>
    Affine,

    /// <summary>Moved by the batches of training, not by gradients: moving mean and variance.</summary>
    Statistic,

    /// <summary>Kept with the layer, and not counted among its parameters.</summary>
    Other,
}

/// <summary>One tensor that a layer has. An immutable value.</summary>
/// <remarks>
/// From these follow a network's state and its checks, fresh values, the counts of the summary, what training changes,
/// weight decay, and the names in files.
/// </remarks>
/// <param name="Name">Its name in the layer's <see cref="LayerState"/>: <c>kernel</c>, <c>moving_mean</c>.</param>
/// <param name="Shape">Its dimensions; null for bytes of any number.</param>
/// <param name="Type">The type of its elements.</param>
/// <param name="Role">What it is to the layer.</param>
public sealed record TensorSpec(string Name, TensorShape? Shape, TensorType Type, TensorRole Role)
{
    /// <summary>
    /// Whether training changes it with the switches as they are: by gradients where it is learned, by the batches
    /// where it is a statistic.
    /// </summary>
    public bool IsTrained { get; init; }

    /// <summary>Whether a state may be without it.</summary>
    public bool IsOptional { get; init; }

    /// <summary>What the loss gets for its size, or null.</summary>
    public Regularizer? Regularizer { get; init; }

    /// <summary>What it is projected onto after each step, or null.</summary>
    public Constraint? Constraint { get; init; }

    /// <summary>The number of inputs and outputs that a value connects, for initializers that scale by them.</summary>
    internal (long In, long Out) Fan { get; init; }

    /// <summary>How it begins; null where the layer says it in another way.</summary>
    internal IInitializer? Initializer { get; init; }

    /// <summary>Whether gradients reach it.</summary>
    internal bool IsLearned => Role is TensorRole.Kernel or TensorRole.Affine;
}
