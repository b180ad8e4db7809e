using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What one layer has learned: kernel and bias, a batch normalization's state, or a TorchScript module. An immutable
/// value.
/// </summary>
public sealed class LayerState : IEquatable<LayerState>
{
    readonly float[] kernel, bias;

    /// <summary>A dense or convolutional layer's.</summary>
    /// <param name="kernel">
    /// Finite values: <c>[units, inputs]</c> or <c>[filters, channels, height, width]</c>, the last dimension running
    /// fastest.
    /// </param>
    /// <param name="bias">One finite value a unit or filter; or empty for a layer without.</param>
    /// <exception cref="ArgumentException">There is no kernel, or a value is not finite.</exception>
    public LayerState(ReadOnlySpan<float> kernel, ReadOnlySpan<float> bias = default)
        : this(kernel.ToArray(), bias.ToArray(), null)
    {
        if (kernel.IsEmpty)
            throw new ArgumentException("A kernel must have values.", nameof(kernel));
        if (Fault(kernel, nameof(kernel)) is { } kernelFault)
            throw new ArgumentException(kernelFault, nameof(kernel));
        if (Fault(bias, nameof(bias)) is { } biasFault)
            throw new ArgumentException(biasFault, nameof(bias));
    }

    /// <summary>A batch normalization's.</summary>
    /// <param name="batchNormalization">Its state.</param>
    /// <exception cref="ArgumentNullException">The state is null.</exception>
    public LayerState(BatchNormalizationState batchNormalization)
        : this([], [], batchNormalization)
    {
        ArgumentNullException.ThrowIfNull(batchNormalization);
    }

    internal LayerState(float[] kernel, float[] bias, BatchNormalizationState? batchNormalization)
    {
        this.kernel = kernel;
        this.bias = bias;
        BatchNormalization = batchNormalization;
    }

    /// <summary>A TorchScript layer's.</summary>
    /// <param name="torchScript">The module with what it has learned, as <c>torch.jit.save</c> writes it.</param>
    /// <exception cref="ArgumentException">There are no bytes.</exception>
    public static LayerState OfTorchScript(ImmutableArray<byte> torchScript) =>
        torchScript.IsDefaultOrEmpty
            ? throw new ArgumentException("A TorchScript module has bytes.", nameof(torchScript))
            : new LayerState([], [], null) { TorchScript = torchScript };

    /// <summary>
    /// The kernel, <c>[units, inputs]</c> or <c>[filters, channels, height, width]</c>; empty for a batch
    /// normalization.
    /// </summary>
    public ReadOnlySpan<float> Kernel => kernel;

    /// <summary>The bias, one value a unit or filter; empty for a layer without.</summary>
    public ReadOnlySpan<float> Bias => bias;

    /// <summary>The state of a batch normalization, or null for another layer.</summary>
    public BatchNormalizationState? BatchNormalization { get; }

    /// <summary>
    /// The module of a <see cref="TorchScriptLayer"/> as training left it, in place of the layer's own; empty for
    /// another layer. Written to a file, it is what <c>torch.jit.load</c> reads.
    /// </summary>
    public ImmutableArray<byte> TorchScript { get; private init; } = [];

    /// <inheritdoc/>
    public bool Equals(LayerState? other) =>
        other is not null
        && Bits(kernel).SequenceEqual(Bits(other.kernel))
        && Bits(bias).SequenceEqual(Bits(other.bias))
        && TorchScript.AsSpan().SequenceEqual(other.TorchScript.AsSpan())
        && Equals(BatchNormalization, other.BatchNormalization);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as LayerState);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.AddBytes(MemoryMarshal.AsBytes<float>(kernel));
        hash.AddBytes(MemoryMarshal.AsBytes<float>(bias));
        hash.Add(TorchScript.Length);
        hash.Add(BatchNormalization);
        return hash.ToHashCode();
    }

    static ReadOnlySpan<int> Bits(float[] values) =>
        MemoryMarshal.Cast<float, int>(values);

    /// <summary>The first value that is not finite, in words, or null.</summary>
    internal static string? Fault(ReadOnlySpan<float> values, string name)
    {
        for (int i = 0; i < values.Length; i++)
        {
            if (!float.IsFinite(values[i]))
                return string.Create(
                    CultureInfo.InvariantCulture, $"The value {name}[{i}] is {values[i]}; it must be finite.");
        }
        return null;
    }
}
