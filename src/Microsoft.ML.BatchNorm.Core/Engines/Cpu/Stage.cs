using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>A layer in a session, bound to its buffers: what it does to a batch, as passes.</summary>
/// <remarks>
/// <para>To add a layer: derive a class in a file of its own, and name it in <see cref="StageFactory"/>. Its
/// constructor makes <see cref="Output"/> and the <see cref="Parameters"/>, whose memory is there when the session
/// calls
/// <see cref="Load"/>. Passes are asked for once; their delegates are kept, so that a step allocates nothing. Whatever
/// depends on the number of rows grows in <see cref="Grow"/>, and is 0 then; what a pass needs while it is at an item
/// it takes from <see cref="Step.Work"/>.</para>
/// <para>A pass over rows gets a block and touches no other rows. What it sums over rows it sums by block, and merges
/// in their order in <see cref="Pass.Then"/>, so that the bits do not depend on the threads. Loops may run over a
/// buffer's
/// <see cref="RowBuffer.Columns"/>, in whole vectors, if they leave finite values behind a row's end.</para>
/// <para>Backward, <see cref="OutputGradient"/> holds the loss's gradient by the output, and the stage writes that by
/// its input to <see cref="InputGradient"/>, which is null where nothing below is trained. A stage whose input is as
/// large as its output works in place: both are the same buffer (<see cref="MakeInputGradient()"/>), which no other
/// stage has then. Where several stages read one value, the session adds their gradients, the last reader's first.
/// </para>
/// </remarks>
abstract unsafe class Stage(NetworkNode node, ImmutableArray<RowBuffer> inputs, RowBuffer output)
{
    protected Stage(NetworkNode node, RowBuffer input, RowBuffer output)
        : this(node, [input], output)
    {
    }

    public NetworkNode Node => node;

    public string Path => node.Path;

    /// <summary>The stages whose outputs are the inputs, by their places in the session; −1 for the features.</summary>
    public ImmutableArray<int> Reads { get; set; }

    public ImmutableArray<RowBuffer> Inputs => inputs;

    public RowBuffer Input => inputs[0];

    public RowBuffer Output => output;

    /// <summary>Set before <see cref="Backward"/> is asked for.</summary>
    public RowBuffer? OutputGradient { get; set; }

    /// <summary>The gradient of each input, or null where none is wanted; set as the output's is.</summary>
    public RowBuffer?[] InputGradients { get; } = new RowBuffer?[inputs.Length];

    public RowBuffer? InputGradient => InputGradients[0];

    /// <summary>The tensors of the layer, trained or not.</summary>
    public virtual IReadOnlyList<Parameter> Parameters => [];

    /// <summary>Whether something in it learns by gradient.</summary>
    public bool Learns => Parameters.Any(parameter => parameter.IsTrained);

    /// <summary>The buffer for the gradient of the input, where one is wanted.</summary>
    public virtual RowBuffer MakeInputGradient() => OutputGradient!;

    /// <inheritdoc cref="MakeInputGradient()"/>
    /// <param name="input">The place of the input; they are asked for in order.</param>
    public virtual RowBuffer MakeInputGradient(int input) => MakeInputGradient();

    /// <summary>Work before a step that needs the parameters alone.</summary>
    public virtual IEnumerable<Pass> Prepare() => [];

    /// <summary>From input to output in training mode.</summary>
    public abstract IEnumerable<Pass> Forward();

    /// <summary>The same in inference mode.</summary>
    public virtual IEnumerable<Pass> Infer() => Forward();

    /// <summary>From the gradient of the output to those of the input and of the parameters.</summary>
    public abstract IEnumerable<Pass> Backward();

    /// <summary>What is left to do with the gradients of the parameters when all stages have gone back.</summary>
    public virtual IEnumerable<Pass> Complete() => [];

    /// <summary>Makes room for a batch.</summary>
    public virtual void Grow(int rows)
    {
        output.Grow(rows);
        OutputGradient?.Grow(rows);
        foreach (RowBuffer? gradient in InputGradients)
            gradient?.Grow(rows);
    }

    /// <summary>Called before the passes of a step in training mode, with its number of rows.</summary>
    public virtual void BeginTraining(int rows)
    {
    }

    /// <summary>Called before passes in inference mode.</summary>
    public virtual void BeginInference(int rows)
    {
    }

    /// <summary>
    /// What the layer's regularizers add to the loss; called when the gradients are complete, before clipping.
    /// </summary>
    public virtual double Penalize()
    {
        double penalty = 0;
        // By index: an enumerator would be allocated in each step.
        for (int i = 0; i < Parameters.Count; i++)
        {
            Parameter parameter = Parameters[i];
            if (parameter is not { IsTrained: true, Spec.Regularizer: { } regularizer })
                continue;
            penalty += regularizer.Penalty(parameter.Values);
            regularizer.AddGradient(parameter.Values, parameter.Gradients);
        }
        return penalty;
    }

    /// <summary>Called when a step has succeeded and the optimizer has changed the parameters.</summary>
    public virtual void Commit()
    {
        for (int i = 0; i < Parameters.Count; i++)
        {
            Parameter parameter = Parameters[i];
            if (parameter is { IsTrained: true, Spec.Constraint: { } constraint })
                constraint.Project(parameter.Values);
        }
    }

    /// <summary>Takes the layer's state.</summary>
    public virtual void Load(LayerState state)
    {
        foreach (Parameter parameter in Parameters)
            parameter.Write(state.Get<float>(parameter.Spec.Name), parameter.Value);
    }

    /// <summary>The layer's state, or null for a layer without one.</summary>
    public virtual LayerState? Save() => Parameters.Count == 0
        ? null
        : LayerState.OfTensors(Parameters.Select(
            parameter => KeyValuePair.Create<string, Array>(parameter.Spec.Name, parameter.ToArray())));

    /// <summary>The tensor of the layer of that name, if it has one.</summary>
    protected TensorSpec? Tensor(string name) => node.Tensors.FirstOrDefault(tensor => tensor.Name == name);
}
