using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>A layer in a session, bound to its buffers: what it does to a batch, as passes.</summary>
/// <remarks>
/// <para>A layer makes its stage in <see cref="Layer.CreateStage"/>. The stage's constructor makes
/// <see cref="Output"/> and the <see cref="Parameters"/>, whose memory is there when the session calls
/// <see cref="Load"/>. Passes are asked for once; their delegates are kept, so that a step allocates nothing. Whatever
/// depends on the number of rows grows in <see cref="Grow"/>, and is 0 then. The memory that a pass needs during one
/// item comes from <see cref="Step.Work"/>.</para>
/// <para>A pass over rows gets a block and touches no other rows. What it sums over rows it sums by block, and merges
/// in their order in <see cref="Pass.Then"/>, so that the bits do not depend on the threads. Loops may run over a
/// buffer's <see cref="RowBuffer.Columns"/>, in whole vectors, if they leave finite values behind a row's end.</para>
/// <para>Backward, <see cref="OutputGradient"/> holds the loss's gradient by the output, and the stage writes that by
/// its input to <see cref="InputGradient"/>, which is null where nothing below is trained. A stage whose input is as
/// large as its output works in place: both are the same buffer (<see cref="MakeInputGradient()"/>), which no other
/// stage has then. Where several stages read one value, the session adds their gradients, the last reader's first.
/// </para>
/// </remarks>
abstract unsafe class Stage(StageContext context, RowBuffer output)
{
    public NetworkNode Node => context.Node;

    public string Path => Node.Path;

    /// <summary>The stages whose outputs are the inputs, by their places in the session; −1 for the features.</summary>
    public ImmutableArray<int> Reads => context.Reads;

    public ImmutableArray<RowBuffer> Inputs => context.Inputs;

    public RowBuffer Input => Inputs[0];

    public RowBuffer Output => output;

    /// <summary>Set before <see cref="Backward"/> is asked for.</summary>
    public RowBuffer? OutputGradient { get; set; }

    /// <summary>The gradient of each input, or null where none is wanted; set as the output's is.</summary>
    public RowBuffer?[] InputGradients { get; } = new RowBuffer?[context.Inputs.Length];

    public RowBuffer? InputGradient => InputGradients[0];

    /// <summary>The current batch.</summary>
    protected Step Step => context.Step;

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
    protected TensorSpec? Tensor(string name) => Node.Tensors.FirstOrDefault(tensor => tensor.Name == name);
}

/// <summary>What a stage is made of.</summary>
/// <param name="Node">The layer in its network.</param>
/// <param name="Place">Its place in the network, by which random numbers differ between layers.</param>
/// <param name="Reads">The stages that it reads, by their places in the session; −1 for the features.</param>
/// <param name="Inputs">Their outputs.</param>
/// <param name="OnlyReader">The layer that alone reads its value, or null.</param>
/// <param name="Step">The current batch of the session.</param>
sealed record StageContext(
    NetworkNode Node, int Place, ImmutableArray<int> Reads, ImmutableArray<RowBuffer> Inputs, Layer? OnlyReader,
    Step Step)
{
    public RowBuffer Input => Inputs[0];

    /// <summary>Set by a layer whose stage computes its only reader too.</summary>
    public bool IncludesReader { get; set; }
}

/// <summary>
/// One thing that a stage does to a batch. Passes over rows that follow one another are run block by block, so that a
/// block stays in the caches from one to the next; <see cref="Then"/> ends such a run.
/// </summary>
sealed class Pass
{
    Pass(Action<RowBlock>? rows, Action? then, Action<int>? item, int items) =>
        (Rows, Then, Item, Items) = (rows, then, item, items);

    /// <summary>What is done to a block of rows, or null.</summary>
    public Action<RowBlock>? Rows { get; }

    /// <summary>What is done once, on one thread, when all rows are; what follows waits for it. Or null.</summary>
    public Action? Then { get; }

    /// <summary>What is done to an item of other work, or null.</summary>
    public Action<int>? Item { get; }

    public int Items { get; }

    /// <summary>Work on each block of rows, which needs of earlier passes the same block alone.</summary>
    public static Pass OnRows(Action<RowBlock> rows, Action? then = null) => new(rows, then, null, 0);

    /// <summary>
    /// Work that needs all rows of the passes before it, and that nothing before the end of the step needs: it is run
    /// beside later passes.
    /// </summary>
    public static Pass OnItems(int items, Action<int> item) => new(null, null, item, items);
}

/// <summary>Some rows of a batch that one thread takes through several passes while they are in its caches.</summary>
/// <param name="Index">The number of the block, from 0.</param>
/// <param name="First">Its first row in the batch.</param>
/// <param name="Rows">Its number of rows, at least 1.</param>
readonly record struct RowBlock(int Index, int First, int Rows);
