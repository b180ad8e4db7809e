using System.Diagnostics.Contracts;

namespace Microsoft.ML.BatchNorm;

public sealed partial class Network
{
    bool IsPyTorch => Preset == NetworkPreset.PyTorch;

    KernelInitializer DefaultKernel => IsPyTorch ? KernelInitializer.PyTorch : KernelInitializer.GlorotUniform;

    KernelInitializer DefaultBias => IsPyTorch ? KernelInitializer.PyTorch : KernelInitializer.Zeros;

    /// <summary>Adds a <see cref="DenseLayer"/>.</summary>
    /// <param name="units">The number of outputs.</param>
    /// <param name="useBias">Whether a bias is added.</param>
    /// <param name="kernelInitializer">
    /// The kernel's first values; null for the preset's: Glorot uniform, or PyTorch's.
    /// </param>
    /// <param name="name">The layer's name; null for Keras's.</param>
    /// <exception cref="ArgumentException">The shape does not fit, or the name is there already.</exception>
    [Pure]
    public Network Dense(
        int units, bool useBias = true, KernelInitializer? kernelInitializer = null, string? name = null) =>
        Add(new DenseLayer(units)
        {
            UseBias = useBias,
            KernelInitializer = kernelInitializer ?? DefaultKernel,
            BiasInitializer = DefaultBias,
            Name = name ?? "",
        });

    /// <summary>Adds a <see cref="Conv2DLayer"/>.</summary>
    /// <param name="filters">The number of output channels.</param>
    /// <param name="kernelSize">Height and width of the kernel.</param>
    /// <param name="stride">How far it moves at a time; null for 1.</param>
    /// <param name="padding">Rows and columns of zeros on each side.</param>
    /// <param name="useBias">Whether a bias is added.</param>
    /// <param name="kernelInitializer">
    /// The kernel's first values; null for the preset's: Glorot uniform, or PyTorch's.
    /// </param>
    /// <param name="name">The layer's name; null for Keras's.</param>
    /// <exception cref="ArgumentException">The shape does not fit, or the name is there already.</exception>
    [Pure]
    public Network Conv2D(
        int filters, Size2D kernelSize, Size2D? stride = null, Size2D padding = default, bool useBias = true,
        KernelInitializer? kernelInitializer = null, string? name = null) =>
        Add(new Conv2DLayer(filters, kernelSize)
        {
            Stride = stride ?? 1,
            Padding = padding,
            UseBias = useBias,
            KernelInitializer = kernelInitializer ?? DefaultKernel,
            BiasInitializer = DefaultBias,
            Name = name ?? "",
        });

    /// <summary>Adds a <see cref="BatchNormalizationLayer"/>.</summary>
    /// <param name="options">
    /// Its options; what they leave unsaid is the preset's. Their <see cref="BatchNormalizationOptions.Axis"/> is not
    /// used; see <paramref name="axis"/>.
    /// </param>
    /// <param name="axis">
    /// The channel axis, with the batch as axis 0; 1 is the first of a row, as networks here have it.
    /// </param>
    /// <param name="name">The layer's name; null for Keras's.</param>
    /// <exception cref="ArgumentException">
    /// The shape has no such axis, the options contradict each other, or the name is there already.
    /// </exception>
    [Pure]
    public Network BatchNormalization(BatchNormalizationOptions? options = null, int axis = 1, string? name = null) =>
        Add(new BatchNormalizationLayer((options ?? new()) with { Axis = axis }) { Name = name ?? "" });

    /// <summary>Adds an <see cref="Activation.ReLU"/>.</summary>
    /// <param name="name">The layer's name; null for Keras's.</param>
    /// <exception cref="ArgumentException">The name is there already.</exception>
    [Pure]
    public Network ReLU(string? name = null) => Add(new ActivationLayer(Activation.ReLU) { Name = name ?? "" });

    /// <summary>Adds an <see cref="Activation.LeakyReLU"/>.</summary>
    /// <param name="negativeSlope">The slope below 0; null for the preset's: 0.3, or PyTorch's 0.01.</param>
    /// <param name="name">The layer's name; null for Keras's.</param>
    /// <exception cref="ArgumentException">The slope is not finite, or the name is there already.</exception>
    [Pure]
    public Network LeakyReLU(double? negativeSlope = null, string? name = null) =>
        Add(new ActivationLayer(Activation.LeakyReLU)
        {
            NegativeSlope = negativeSlope,
            Name = name ?? "",
        });

    /// <summary>Adds an <see cref="Activation.Gelu"/>.</summary>
    /// <param name="name">The layer's name; null for <c>gelu</c>.</param>
    /// <exception cref="ArgumentException">The name is there already.</exception>
    [Pure]
    public Network Gelu(string? name = null) => Add(new ActivationLayer(Activation.Gelu) { Name = name ?? "" });

    /// <summary>Adds an <see cref="Activation.Sigmoid"/>.</summary>
    /// <param name="name">The layer's name; null for <c>sigmoid</c>.</param>
    /// <exception cref="ArgumentException">The name is there already.</exception>
    [Pure]
    public Network Sigmoid(string? name = null) => Add(new ActivationLayer(Activation.Sigmoid) { Name = name ?? "" });

    /// <summary>Adds an <see cref="Activation.Tanh"/>.</summary>
    /// <param name="name">The layer's name; null for <c>tanh</c>.</param>
    /// <exception cref="ArgumentException">The name is there already.</exception>
    [Pure]
    public Network Tanh(string? name = null) => Add(new ActivationLayer(Activation.Tanh) { Name = name ?? "" });

    /// <summary>Adds a <see cref="DropoutLayer"/>.</summary>
    /// <param name="rate">The share that is dropped in training, at least 0 and below 1.</param>
    /// <param name="name">The layer's name; null for Keras's.</param>
    /// <exception cref="ArgumentException">The rate is out of range, or the name is there already.</exception>
    [Pure]
    public Network Dropout(double rate, string? name = null) => Add(new DropoutLayer(rate) { Name = name ?? "" });

    /// <summary>Adds a <see cref="Pool2DLayer"/> of maxima.</summary>
    /// <param name="poolSize">Height and width of the window; null for 2.</param>
    /// <param name="stride">How far it moves at a time; null for its own size.</param>
    /// <param name="padding">Rows and columns on each side.</param>
    /// <param name="name">The layer's name; null for Keras's.</param>
    /// <exception cref="ArgumentException">The shape does not fit.</exception>
    [Pure]
    public Network MaxPool2D(
        Size2D? poolSize = null, Size2D? stride = null, Size2D padding = default, string? name = null) =>
        Pool(Pooling.Max, poolSize, stride, padding, name);

    /// <summary>Adds a <see cref="Pool2DLayer"/> of means.</summary>
    /// <inheritdoc cref="MaxPool2D"/>
    [Pure]
    public Network AveragePool2D(
        Size2D? poolSize = null, Size2D? stride = null, Size2D padding = default, string? name = null) =>
        Pool(Pooling.Average, poolSize, stride, padding, name);

    /// <summary>Adds a <see cref="GlobalAveragePool2DLayer"/>.</summary>
    /// <param name="name">The layer's name; null for Keras's.</param>
    /// <exception cref="ArgumentException">The shape is not channels, height and width.</exception>
    [Pure]
    public Network GlobalAveragePool2D(string? name = null) => Add(new GlobalAveragePool2DLayer { Name = name ?? "" });

    /// <summary>Adds a <see cref="FlattenLayer"/>.</summary>
    /// <param name="name">The layer's name; null for Keras's.</param>
    /// <exception cref="ArgumentException">The name is there already.</exception>
    [Pure]
    public Network Flatten(string? name = null) => Add(new FlattenLayer { Name = name ?? "" });

    /// <summary>Adds a network as one layer.</summary>
    /// <param name="inner">The network; its input has the shape of this one's output.</param>
    /// <param name="name">The layer's name; null for <c>network</c>.</param>
    /// <exception cref="ArgumentException">The shapes differ, or the name is there already.</exception>
    [Pure]
    public Network Append(Network inner, string? name = null)
    {
        ArgumentNullException.ThrowIfNull(inner);
        return Add(new NetworkLayer(inner) { Name = name ?? "" });
    }

    Network Pool(Pooling function, Size2D? poolSize, Size2D? stride, Size2D padding, string? name) =>
        Add(new Pool2DLayer(function, poolSize ?? 2) { Stride = stride, Padding = padding, Name = name ?? "" });
}
