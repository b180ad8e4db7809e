using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A module that was traced or scripted in PyTorch, as one layer with its parameters in it: a pretrained base. It needs
/// libtorch, so that the engine on TorchSharp alone runs it.
/// </summary>
/// <remarks>
/// <para>
/// <see cref="Layer.Trainable"/> is false: it is in inference mode, and its parameters and statistics stay. True: all
/// its parameters learn, whether or not they required gradients when it was saved, and in training it is in training
/// mode, in which a scripted module's batch normalizations take the batch's statistics and move their own as they do in
/// PyTorch; a traced module stays in the mode in which it was traced. What it has learned is
/// <see cref="LayerState.TorchScript"/> in the network's state.
/// </para>
/// <para>
/// The switches of a batch normalization, exact statistics and bfloat16 do not reach into the module: for those, build
/// the base of this library's layers and load its weights from safetensors.
/// </para>
/// </remarks>
/// <param name="Module">The bytes of the file that <c>torch.jit.save</c> writes.</param>
/// <param name="Input">The shape of a row that goes in, without the batch.</param>
/// <param name="Output">The shape of a row that comes out.</param>
public sealed record TorchScriptLayer(ImmutableArray<byte> Module, TensorShape Input, TensorShape Output) : Layer
{
    static readonly ImmutableArray<byte> follows = [0];

    /// <summary>A layer of a definition, whose module is a tensor beside it and takes the place of the one here.</summary>
    [JsonConstructor]
    internal TorchScriptLayer(TensorShape input, TensorShape output)
        : this(follows, input, output)
    {
    }

    /// <summary>The file's bytes.</summary>
    /// <exception cref="ArgumentException">There are none.</exception>
    [JsonIgnore]
    public ImmutableArray<byte> Module { get; init => field = NotEmpty(value); } = NotEmpty(Module);

    /// <summary>The shape of a row that goes in.</summary>
    public TensorShape Input { get; init => field = NotNull(value); } = NotNull(Input);

    /// <summary>The shape of a row that comes out.</summary>
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

    /// <summary>Whether everything is the same, byte by byte.</summary>
    public bool Equals(TorchScriptLayer? other) =>
        other is not null && Name == other.Name && Trainable == other.Trainable && Input.Equals(other.Input)
        && Output.Equals(other.Output) && Module.AsSpan().SequenceEqual(other.Module.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Name, Trainable, Input, Output, Module.Length);

    internal override Stage CreateStage(StageContext context) => throw NeedsTorch(context.Node.Path);

    internal override ServingValue CreateServing(ServingContext context) => throw NeedsTorch(context.Node.Path);

    static NotSupportedException NeedsTorch(string path) => new(
        $"Layer '{path}' is a TorchScript module, which the TorchEngine of Microsoft.ML.BatchNorm.TorchSharp alone can "
        + "run.");

    static ImmutableArray<byte> NotEmpty(ImmutableArray<byte> value) =>
        value.IsDefaultOrEmpty ? throw new ArgumentException("A TorchScript module has bytes.", nameof(value)) : value;

    static TensorShape NotNull(TensorShape value)
    {
        ArgumentNullException.ThrowIfNull(value);
        return value;
    }
}
