namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>One layer of a network as a TorchSharp module.</summary>
/// <param name="node">The layer.</param>
/// <param name="state">Its state, or null if it has no tensors that gradients reach.</param>
abstract class LayerModule(NetworkNode node, LayerState? state = null)
    : torch.nn.Module<Tensor, Tensor>(node.Layer.Kind)
{
    readonly ParameterSlot[] slots = state is null
        ? []
        : [
            .. node.Tensors.Where(tensor => tensor.IsLearned)
                .Select(tensor => new ParameterSlot(node.Path, tensor, state)),
        ];

    /// <summary>The layer's path in its network.</summary>
    public string Path => node.Path;

    /// <summary>Whether training mode is asked for.</summary>
    // The base's own property asks libtorch each time.
    protected bool IsTraining { get; private set; } = true;

    /// <summary>The layer's value from those of its inputs.</summary>
    public virtual Tensor Forward(Tensor[] inputs) => forward(inputs[0]);

    /// <summary>The tensors that the layer learns, or uses without learning them.</summary>
    public virtual IEnumerable<ParameterSlot> Slots => slots;

    /// <summary>What the regularizers add to the loss, or null.</summary>
    public Tensor? Penalty()
    {
        Tensor? penalty = null;
        foreach (ParameterSlot slot in slots)
        {
            if (slot is not { IsTrained: true, Spec.Regularizer: { } regularizer })
                continue;
            Tensor values = slot.Tensor.to(ScalarType.Float64);
            Tensor own = values.abs().sum().mul(Scalars.Of(regularizer.L1Factor))
                .add(values.mul(values).sum(), Scalars.Of(regularizer.L2Factor));
            penalty = penalty?.add(own, Scalars.One) ?? own;
        }
        return penalty;
    }

    /// <summary>
    /// Projects the parameters onto their constraints. Call it inside a dispose scope and without gradients.
    /// </summary>
    /// <param name="all">The values of all layers' parameters.</param>
    public void Constrain(Tensor all)
    {
        foreach (ParameterSlot slot in slots)
        {
            if (slot is not { IsTrained: true, Spec.Constraint: { } constraint })
                continue;
            Tensor weights = ParameterVector.Slice(all, slot);
            if (constraint is Constraint.NonNegativeConstraint)
            {
                weights.clamp_min_(Scalars.Of(0));
                continue;
            }
            float[] projected = Tensors.Download<float>(weights);
            constraint.Project(projected);
            weights.copy_(Tensors.Upload<float>(projected, torch.CPU, projected.Length));
        }
    }

    /// <summary>Throws if the layer cannot be trained on a batch of so many rows. Changes nothing.</summary>
    public virtual void CheckRows(int rows)
    {
    }

    /// <summary>Prepares for a forward pass of training.</summary>
    public virtual void BeginStep()
    {
    }

    /// <summary>Undoes what forward passes have changed since <see cref="BeginStep"/>.</summary>
    public virtual void UndoStep()
    {
    }

    /// <summary>The layer's current state, or null if it has none.</summary>
    /// <param name="values">The values of each parameter, by its path.</param>
    public virtual LayerState? StateNow(IReadOnlyDictionary<string, float[]> values) => slots.Length == 0
        ? null
        : LayerState.OfTensors(slots.Select(
            slot => KeyValuePair.Create<string, Array>(slot.Spec!.Name, values[slot.Path])));

    /// <summary>The parameter of that name, if the layer has one.</summary>
    protected ParameterSlot? Slot(string name) => Array.Find(slots, slot => slot.Spec!.Name == name);

    public override void train(bool train = true)
    {
        base.train(train);
        IsTraining = train;
    }
}
