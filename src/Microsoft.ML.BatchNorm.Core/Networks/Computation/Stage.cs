using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A layer in a training session, with its buffers. It says what the layer does to a batch, as passes.
/// </summary>
/// <remarks>
/// <para>A layer makes its stage in <see cref="Layer.CreateStage"/>. The stage's constructor makes
/// <see cref="Output"/> and the <see cref="Parameters"/>. The parameters have memory before the session calls
/// <see cref="Load"/>. The session asks for passes once and keeps their delegates, so that a step allocates nothing.
/// Memory that depends on the number of rows is allocated in <see cref="Grow"/>, and is 0 afterwards. Memory that a pass
/// needs only during one item comes from <see cref="Step.Work"/>.</para>
/// <para>A pass over rows gets a block and must not touch other rows. It sums over rows by block, and merges these sums in
/// the order of the blocks in <see cref="Pass.Then"/>, so that the bits do not depend on the threads. Loops may run over
/// <see cref="RowBuffer.Columns"/>, in whole vectors, if they leave finite values in the padding.</para>
/// <para>Backward, <see cref="OutputGradient"/> holds the gradient of the loss by the output. The stage writes the
/// gradient by its input to <see cref="InputGradient"/>, which is null if nothing before the stage is trained. If input
/// and output have the same size, the stage works in place: both gradients are one buffer, which no other stage uses then
/// (<see cref="MakeInputGradient()"/>). If several stages read one value, the session adds their gradients, that of the
/// last reader first.</para>
/// </remarks>
abstract unsafe class Stage(StageContext context, RowBuffer output)
{
    public NetworkNode Node => context.Node;

    public string Path => Node.Path;

    /// <summary>The indices in the session of the stages whose outputs it reads; −1 is the features.</summary>
    public ImmutableArray<int> Reads => context.Reads;

    public ImmutableArray<RowBuffer> Inputs => context.Inputs;

    public RowBuffer Input => Inputs[0];

    public RowBuffer Output => output;

    /// <summary>The gradient of the output; set before <see cref="Backward"/> is called.</summary>
    public RowBuffer? OutputGradient { get; set; }

    /// <summary>The gradient of each input, or null if it is not needed; set when the output's is.</summary>
    public RowBuffer?[] InputGradients { get; } = new RowBuffer?[context.Inputs.Length];

    public RowBuffer? InputGradient => InputGradients[0];

    /// <summary>The current batch.</summary>
    protected Step Step => context.Step;

    /// <summary>The tensors of the layer, trained or not.</summary>
    public virtual IReadOnlyList<Parameter> Parameters => [];

    /// <summary>Whether a parameter of the stage is trained.</summary>
    public bool Learns => Parameters.Any(parameter => parameter.IsTrained);

    /// <summary>Makes the buffer for the gradient of the input, or shares that of the output.</summary>
    public virtual RowBuffer MakeInputGradient() => OutputGradient!;

    /// <inheritdoc cref="MakeInputGradient()"/>
    /// <param name="input">The index of the input; the session calls this in the order of the inputs.</param>
    public virtual RowBuffer MakeInputGradient(int input) => MakeInputGradient();

    /// <summary>Work before a step of training that depends only on the parameters; inference does without it.</summary>
    public virtual IEnumerable<Pass> Prepare() => [];

    /// <summary>Computes the output from the input in training mode.</summary>
    public abstract IEnumerable<Pass> Forward();

    /// <summary>Computes the output from the input in inference mode.</summary>
    public virtual IEnumerable<Pass> Infer() => Forward();

    /// <summary>Computes the gradients of the input and of the parameters from that of the output.</summary>
    public abstract IEnumerable<Pass> Backward();

    /// <summary>Work on the gradients of the parameters after all stages have gone backward.</summary>
    public virtual IEnumerable<Pass> Complete() => [];

    /// <summary>Allocates what a batch of that many rows needs.</summary>
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

/// <summary>What a layer needs to make its stage.</summary>
/// <param name="Node">The layer in its network.</param>
/// <param name="Place">The layer's index in the network, which makes the random numbers of layers differ.</param>
/// <param name="Reads">The indices in the session of the stages whose outputs it reads; −1 is the features.</param>
/// <param name="Inputs">The buffers that it reads.</param>
/// <param name="OnlyReader">The layer that is the only reader of its output, or null.</param>
/// <param name="Step">The current batch of the session.</param>
sealed record StageContext(
    NetworkNode Node, int Place, ImmutableArray<int> Reads, ImmutableArray<RowBuffer> Inputs, Layer? OnlyReader,
    Step Step)
{
    public RowBuffer Input => Inputs[0];

    /// <summary>A layer sets this if its stage also computes its only reader.</summary>
    public bool IncludesReader { get; set; }
}

/// <summary>
/// One operation of a stage on a batch. Passes over rows that follow one another are run block by block, so that a
/// block stays in the caches from one to the next; <see cref="Then"/> ends such a run.
/// </summary>
sealed class Pass
{
    Pass(Action<RowBlock>? rows, Action? then, Action<int>? item, int items) =>
        (Rows, Then, Item, Items) = (rows, then, item, items);

    /// <summary>What is done to a block of rows, or null.</summary>
    public Action<RowBlock>? Rows { get; }

    /// <summary>What one thread does once, after all rows are done and before later passes start; or null.</summary>
    public Action? Then { get; }

    /// <summary>What is done for an item of work that is not a block of rows, or null.</summary>
    public Action<int>? Item { get; }

    public int Items { get; }

    /// <summary>Work on each block of rows. Of earlier passes, it needs only the same block.</summary>
    public static Pass OnRows(Action<RowBlock> rows, Action? then = null) => new(rows, then, null, 0);

    /// <summary>
    /// Work that needs all rows of earlier passes, and that nothing needs before the end of the step, so that it runs at
    /// the same time as later passes.
    /// </summary>
    public static Pass OnItems(int items, Action<int> item) => new(null, null, item, items);
}

/// <summary>Some rows of a batch that one thread takes through several passes while they are in its caches.</summary>
/// <param name="Index">The number of the block, from 0.</param>
/// <param name="First">Its first row in the batch.</param>
/// <param name="Rows">Its number of rows, at least 1.</param>
readonly record struct RowBlock(int Index, int First, int Rows);
