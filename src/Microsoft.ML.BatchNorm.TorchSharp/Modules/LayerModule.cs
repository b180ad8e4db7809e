namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>One layer of a network as a TorchSharp module.</summary>
/// <param name="node">The layer.</param>
/// <param name="state">Its state; null if its table has no learned tensors.</param>
abstract class LayerModule(NetworkNode node, LayerState? state = null)
    : torch.nn.Module<Tensor, Tensor>(node.Layer.Kind)
{
    readonly DeviceParameter[] declared = state is null
        ? []
        : [
            .. node.Tensors.Where(tensor => tensor.IsLearned)
                .Select(tensor => new DeviceParameter(node.Path, tensor, state)),
        ];

    /// <summary>The layer's path in its network.</summary>
    public string Path => node.Path;

    /// <summary>Whether training mode is asked for.</summary>
    // The property of TorchSharp's base class calls libtorch each time.
    protected bool IsTraining { get; private set; } = true;

    /// <summary>Computes the layer's value from the values that it reads.</summary>
    public virtual Tensor Forward(Tensor[] inputs) => forward(inputs[0]);

    /// <summary>The tensors that the layer learns, and those that it would learn if it were not frozen.</summary>
    public virtual IEnumerable<DeviceParameter> Parameters => declared;

    /// <summary>What the regularizers add to the loss; null if there are none.</summary>
    public Tensor? Penalty()
    {
        Tensor? penalty = null;
        foreach (DeviceParameter parameter in declared)
        {
            if (parameter is not { IsTrained: true, Spec.Regularizer: { } regularizer })
                continue;
            Tensor values = parameter.Tensor.to(ScalarType.Float64);
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
        foreach (DeviceParameter parameter in declared)
        {
            if (parameter is not { IsTrained: true, Spec.Constraint: { } constraint })
                continue;
            Tensor weights = parameter.SliceOf(all);
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
    public virtual void CheckBatchSize(int rows)
    {
    }

    /// <summary>
    /// Prepares for the forward pass of a training step, whose random numbers depend only on the two arguments and on
    /// the layer's index in the network.
    /// </summary>
    public virtual void BeginStep(int seed, long step)
    {
    }

    /// <summary>Undoes what the layer has changed since <see cref="BeginStep"/>.</summary>
    public virtual void UndoStep()
    {
    }

    /// <summary>The layer's current state; null if it has none.</summary>
    /// <param name="values">The values of each parameter, by its path.</param>
    public virtual LayerState? GetState(IReadOnlyDictionary<string, float[]> values) => declared.Length == 0
        ? null
        : LayerState.OfTensors(declared.Select(
            parameter => KeyValuePair.Create<string, Array>(parameter.Spec!.Name, values[parameter.Path])));

    /// <summary>The parameter of that name; null if the layer has none.</summary>
    protected DeviceParameter? Parameter(string name) =>
        Array.Find(declared, parameter => parameter.Spec!.Name == name);

    public override void train(bool train = true)
    {
        base.train(train);
        IsTraining = train;
    }
}
