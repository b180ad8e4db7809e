using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A module that was traced or scripted in PyTorch, as one layer that includes its parameters: a pretrained base. It
/// needs libtorch, so that only the engine on TorchSharp can run it.
/// </summary>
/// <remarks>
/// <para>
/// If <see cref="Layer.Trainable"/> is false, the module is in inference mode, and its parameters and statistics do not
/// change. If it is true, all parameters learn, whether or not they required gradients when the module was saved, and
/// training runs the module in training mode: the batch normalizations of a scripted module then normalize with batch
/// statistics and move their own, as in PyTorch. A traced module stays in the mode in which it was traced. The trained
/// module is <see cref="LayerState.TorchScript"/> in the network's state.
/// </para>
/// <para>
/// The switches of batch normalizations, exact statistics and bfloat16 have no effect inside the module. If you need
/// these, build the base from layers of this library and load its weights from safetensors.
/// </para>
/// </remarks>
/// <param name="Module">The bytes of the file that <c>torch.jit.save</c> writes.</param>
/// <param name="Input">The shape of an input row, without the batch.</param>
/// <param name="Output">The shape of an output row, without the batch.</param>
public sealed record TorchScriptLayer(ImmutableArray<byte> Module, TensorShape Input, TensorShape Output) : Layer
{
    static readonly ImmutableArray<byte> follows = [0];

    /// <summary>
    /// Makes the layer that a definition describes. The file has the module as a tensor, which later replaces the
    /// module here.
    /// </summary>
    [JsonConstructor]
    internal TorchScriptLayer(TensorShape input, TensorShape output)
        : this(follows, input, output)
    {
    }

    /// <summary>The bytes of the file that <c>torch.jit.save</c> writes.</summary>
    /// <exception cref="ArgumentException">There are no bytes.</exception>
    [JsonIgnore]
    public ImmutableArray<byte> Module { get; init => field = NotEmpty(value); } = NotEmpty(Module);

    /// <summary>The shape of an input row, without the batch.</summary>
    public TensorShape Input { get; init => field = NotNull(value); } = NotNull(Input);

    /// <summary>The shape of an output row, without the batch.</summary>
    public TensorShape Output { get; init => field = NotNull(value); } = NotNull(Output);

    internal const string ModuleTensor = "torch_script";

    /// <inheritdoc/>
    public override string Kind => "TorchScript";

    internal override string DefaultName => "torch_script";

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return input.Equals(Input) ? Output : throw Misfit(input, $"{Input}");
    }

    /// <inheritdoc/>
    public override IEnumerable<TensorSpec> Tensors(TensorShape input) =>
        [new(ModuleTensor, null, TensorType.U8, TensorRole.Other) { IsOptional = true, IsTrained = Trainable }];

    /// <summary>Whether name, switch, shapes and all bytes of the module are equal.</summary>
    public bool Equals(TorchScriptLayer? other) =>
        other is not null && Name == other.Name && Trainable == other.Trainable && Input.Equals(other.Input)
        && Output.Equals(other.Output) && Module.AsSpan().SequenceEqual(other.Module.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Name, Trainable, Input, Output, Module.Length);

    internal override Stage CreateStage(StageContext context) => throw NeedsTorch(context.Node.Path);

    internal override ServingValue CreateServing(ServingContext context) => throw NeedsTorch(context.Node.Path);

    static NotSupportedException NeedsTorch(string path) => new(
        $"Layer '{path}' is a TorchScript module, which only the TorchEngine of Microsoft.ML.BatchNorm.TorchSharp can "
        + "run.");

    static ImmutableArray<byte> NotEmpty(ImmutableArray<byte> value) =>
        value.IsDefaultOrEmpty
            ? throw new ArgumentException("A TorchScript module must not be empty.", nameof(value))
            : value;

    static TensorShape NotNull(TensorShape value)
    {
        ArgumentNullException.ThrowIfNull(value);
        return value;
    }
}
