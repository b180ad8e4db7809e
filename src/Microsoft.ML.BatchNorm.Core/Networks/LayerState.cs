using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The values of one layer's tensors by their names, such as <c>kernel</c> and <c>bias</c>.
/// <see cref="NetworkNode.Tensors"/> says which tensors a layer has, and in which shapes. An immutable value; two are
/// equal if all their bits are.
/// </summary>
/// <example>
/// <code>
/// NetworkState state = Network.Input(4).Dense(2).Initialize(seed: 1);
/// ReadOnlySpan&lt;float> kernel = state["dense"].Get&lt;float>("kernel");
/// float largest = state["dense"].GetArray&lt;float>("kernel").Max(MathF.Abs);
/// </code>
/// </example>
public sealed class LayerState : IEquatable<LayerState>
{
    readonly ImmutableSortedDictionary<string, Array> tensors;
    BatchNormalizationState? batchNormalization;

    /// <summary>The state of a dense or convolutional layer.</summary>
    /// <param name="kernel">
    /// Finite values of shape <c>[units, inputs]</c> or <c>[filters, channels, height, width]</c>, in row-major order.
    /// </param>
    /// <param name="bias">One finite value per unit or filter; empty for a layer without a bias.</param>
    /// <exception cref="ArgumentException">There is no kernel, or a value is not finite.</exception>
    public LayerState(ReadOnlySpan<float> kernel, ReadOnlySpan<float> bias = default)
        : this(OfKernel(kernel.ToArray(), bias.ToArray()))
    {
        if (kernel.IsEmpty)
            throw new ArgumentException("A kernel must have values.", nameof(kernel));
        if (Fault<float>(kernel, nameof(kernel)) is { } kernelFault)
            throw new ArgumentException(kernelFault, nameof(kernel));
        if (Fault<float>(bias, nameof(bias)) is { } biasFault)
            throw new ArgumentException(biasFault, nameof(bias));
    }

    /// <summary>The state of a batch normalization.</summary>
    /// <param name="batchNormalization">γ, β and the statistics.</param>
    /// <exception cref="ArgumentNullException">The state is null.</exception>
    public LayerState(BatchNormalizationState batchNormalization)
        : this(BatchNormalizationTensors.Of(batchNormalization)) =>
        this.batchNormalization = batchNormalization;

    LayerState(IEnumerable<KeyValuePair<string, Array>> tensors) =>
        this.tensors = tensors.ToImmutableSortedDictionary(StringComparer.Ordinal);

    /// <summary>A state of the given arrays, which are neither copied nor checked.</summary>
    internal static LayerState OfTensors(IEnumerable<KeyValuePair<string, Array>> tensors) => new(tensors);

    /// <summary>The state of a TorchScript layer.</summary>
    /// <param name="torchScript">
    /// The bytes of the module, with what it has learned, as <c>torch.jit.save</c> writes them.
    /// </param>
    /// <exception cref="ArgumentException">There are no bytes.</exception>
    public static LayerState OfTorchScript(ImmutableArray<byte> torchScript) =>
        torchScript.IsDefaultOrEmpty
            ? throw new ArgumentException("A TorchScript module must not be empty.", nameof(torchScript))
            : new LayerState([new(
                TorchScriptLayer.ModuleTensor, ImmutableCollectionsMarshal.AsArray(torchScript)!)]);

    /// <summary>The names of the tensors, in ordinal order.</summary>
    public IEnumerable<string> Names => tensors.Keys;

    /// <summary>
    /// The kernel, of shape <c>[units, inputs]</c> or <c>[filters, channels, height, width]</c>, in row-major order;
    /// empty for a layer without a kernel.
    /// </summary>
    public ReadOnlySpan<float> Kernel => TryGet("kernel", out ReadOnlySpan<float> values) ? values : [];

    /// <summary><see cref="Kernel"/> as an array, which is not a copy.</summary>
    public ImmutableArray<float> KernelArray => ImmutableArrayOf<float>("kernel");

    /// <summary>The bias, one value per unit or filter; empty for a layer without a bias.</summary>
    public ReadOnlySpan<float> Bias => TryGet("bias", out ReadOnlySpan<float> values) ? values : [];

    /// <summary><see cref="Bias"/> as an array, which is not a copy.</summary>
    public ImmutableArray<float> BiasArray => ImmutableArrayOf<float>("bias");

    /// <summary>The state of a batch normalization, or null for another layer.</summary>
    public BatchNormalizationState? BatchNormalization =>
        batchNormalization ??= BatchNormalizationTensors.ToState(this);

    /// <summary>
    /// The module of a <see cref="TorchScriptLayer"/> after training, which is used instead of the layer's own; empty
    /// for another layer. Written to a file, these bytes are what <c>torch.jit.load</c> reads.
    /// </summary>
    public ImmutableArray<byte> TorchScript => ImmutableArrayOf<byte>(TorchScriptLayer.ModuleTensor);

    /// <summary>The values of a tensor, in row-major order.</summary>
    /// <typeparam name="T">
    /// <see cref="float"/> for learned values, <see cref="double"/> for statistics, <see cref="long"/> for a number of
    /// batches, <see cref="byte"/> for a TorchScript module.
    /// </typeparam>
    /// <param name="name">The tensor's name.</param>
    /// <exception cref="ArgumentException">
    /// The layer has no tensor of that name, or it has another type; the message lists the tensors.
    /// </exception>
    public ReadOnlySpan<T> Get<T>(string name) where T : unmanaged => Require<T>(name);

    /// <summary>The values of a tensor, in row-major order, as an array, which is not a copy.</summary>
    /// <inheritdoc cref="Get"/>
    public ImmutableArray<T> GetArray<T>(string name) where T : unmanaged =>
        ImmutableCollectionsMarshal.AsImmutableArray(Require<T>(name));

    T[] Require<T>(string name) where T : unmanaged =>
        ArrayOf<T>(name)
            ?? throw new ArgumentException(
                $"The layer has no tensor '{name}' of {typeof(T).Name}; it has "
                + $"{string.Join(", ", tensors.Select(tensor => $"{tensor.Key} ({ElementType(tensor.Value)})"))}.",
                nameof(name));

    /// <summary>The values of a tensor, if there is one of that name and type.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="values">Its values, in row-major order; empty if there is no such tensor.</param>
    /// <returns>Whether there is such a tensor.</returns>
    public bool TryGet<T>(string name, out ReadOnlySpan<T> values) where T : unmanaged
    {
        T[]? array = ArrayOf<T>(name);
        values = array;
        return array is not null;
    }

    ImmutableArray<T> ImmutableArrayOf<T>(string name) where T : unmanaged =>
        ImmutableCollectionsMarshal.AsImmutableArray(ArrayOf<T>(name) ?? []);

    internal T[]? ArrayOf<T>(string name) where T : unmanaged => tensors.GetValueOrDefault(name) as T[];

    /// <summary>The number of values of a tensor; 0 if there is none of that name.</summary>
    internal int LengthOf(string name) => tensors.GetValueOrDefault(name)?.Length ?? 0;

    /// <summary>Whether there is a tensor of that name and type.</summary>
    internal bool Has(string name, TensorType type) =>
        tensors.GetValueOrDefault(name) is { } values && type == values switch
        {
            float[] => TensorType.F32,
            double[] => TensorType.F64,
            long[] => TensorType.I64,
            _ => TensorType.U8,
        };

    internal IEnumerable<KeyValuePair<string, Array>> Tensors => tensors;

    static KeyValuePair<string, Array>[] OfKernel(float[] kernel, float[] bias) =>
        bias.Length == 0 ? [new("kernel", kernel)] : [new("kernel", kernel), new("bias", bias)];

    /// <inheritdoc/>
    public bool Equals(LayerState? other) =>
        other is not null && tensors.Count == other.tensors.Count
        && tensors.All(tensor => SameBits(tensor.Value, other.tensors.GetValueOrDefault(tensor.Key)));

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as LayerState);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach ((string name, Array values) in tensors)
        {
            hash.Add(name, StringComparer.Ordinal);
            hash.AddBytes(Bytes(values));
        }
        return hash.ToHashCode();
    }

    static bool SameBits(Array left, [NotNullWhen(true)] Array? right) =>
        right is not null && left.GetType() == right.GetType() && Bytes(left).SequenceEqual(Bytes(right));

    static ReadOnlySpan<byte> Bytes(Array values) => values switch
    {
        float[] floats => MemoryMarshal.AsBytes<float>(floats),
        double[] doubles => MemoryMarshal.AsBytes<double>(doubles),
        long[] longs => MemoryMarshal.AsBytes<long>(longs),
        _ => (byte[])values,
    };

    static string ElementType(Array values) => values.GetType().GetElementType()!.Name;

    /// <summary>Describes the first value that is not finite; null if all are finite.</summary>
    internal static string? Fault<T>(ReadOnlySpan<T> values, string name) where T : unmanaged =>
        Finite.IndexOf(values) is >= 0 and var index
            ? string.Create(
                CultureInfo.InvariantCulture, $"The value {name}[{index}] is {values[index]}; it must be finite.")
            : null;
}
