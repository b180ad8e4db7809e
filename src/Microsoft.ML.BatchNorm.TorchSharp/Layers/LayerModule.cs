using Microsoft.ML.BatchNorm.TorchSharp.Training;

namespace Microsoft.ML.BatchNorm.TorchSharp.Layers;

/// <summary>One layer of a network as a TorchSharp module.</summary>
abstract class LayerModule(NetworkNode node) : torch.nn.Module<Tensor, Tensor>(node.Layer.Kind)
{
    /// <summary>The layer's path in its network.</summary>
    public string Path => node.Path;

    /// <summary>Whether training mode is asked for.</summary>
    // The base's own property asks libtorch each time.
    protected bool IsTraining { get; private set; } = true;

    /// <summary>The layer's value from those of its inputs.</summary>
    public virtual Tensor Forward(Tensor[] inputs) => forward(inputs[0]);

    /// <summary>The tensors that the layer learns or uses.</summary>
    public virtual IEnumerable<ParameterSlot> Slots => [];

    /// <summary>What is added to the loss, or null.</summary>
    public virtual Tensor? Penalty() => null;

    /// <summary>Throws where a batch of so many rows cannot be trained on; before anything is changed.</summary>
    public virtual void CheckRows(int rows)
    {
    }

    /// <summary>Before a forward pass of training.</summary>
    public virtual void BeginStep()
    {
    }

    /// <summary>Takes back what forward passes have changed since <see cref="BeginStep"/>.</summary>
    public virtual void UndoStep()
    {
    }

    /// <summary>The layer's state now, or null where it has none.</summary>
    /// <param name="values">The values of each parameter, by its path.</param>
    public virtual LayerState? StateNow(IReadOnlyDictionary<string, float[]> values) => null;

    protected float[] ValuesOf(string name, IReadOnlyDictionary<string, float[]> values) =>
        values.GetValueOrDefault($"{Path}/{name}") ?? [];

    public override void train(bool train = true)
    {
        base.train(train);
        IsTraining = train;
    }

    protected static ParameterSlot Slot(NetworkNode node, string name, ReadOnlySpan<float> values, TensorShape shape) =>
        new(
            $"{node.Path}/{name}", Array.ConvertAll(shape.Dimensions.ToArray(), d => (long)d), values.ToArray(),
            node.IsTrainable);
}
