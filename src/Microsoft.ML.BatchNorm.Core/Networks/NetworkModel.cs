using System.Collections.Immutable;
using System.Globalization;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A network made ready to predict: batch normalization folded into the kernels, weights laid out for the processor.
/// Immutable, and safe from any number of threads. After a thread's first call it allocates nothing.
/// </summary>
/// <remarks>A row's outputs have the same bits alone and among others.</remarks>
public sealed unsafe class NetworkModel
{
    /// <summary>
    /// Rows go through in blocks of about as many floats a layer: half of what a core's second cache holds.
    /// </summary>
    const int BlockElements = 1 << 17;

    const int MaxBlockRows = 256;

    /// <summary>
    /// The most floats between the layers; a few bytes of a file can claim any number of them.
    /// </summary>
    const int MostFloats = Network.MaxOpenSize;

    /// <summary>The floats of a cache line.</summary>
    const int Line = 16;

    readonly PlacedOperation[] operations;

    /// <summary>The values of a row in the slots before each, and in all.</summary>
    readonly int[] slots;
    readonly int inputs, outputs, blockRows, work, mostInputs;
    readonly bool needsFinite;

    /// <summary>Lays out a network's parameters; they are copied.</summary>
    /// <param name="network">The network.</param>
    /// <param name="state">Its parameters.</param>
    /// <param name="foldBatchNormalization">
    /// Whether a batch normalization is folded into the dense layer or convolution before it, which changes outputs by
    /// no more than rounding does.
    /// </param>
    /// <exception cref="ArgumentException">
    /// The state does not fit the network, or a batch normalization has no moving statistics.
    /// </exception>
    public NetworkModel(Network network, NetworkState state, bool foldBatchNormalization = true)
    {
        ArgumentNullException.ThrowIfNull(network);
        network.CheckState(state);
        Network = network;
        State = state;
        inputs = network.InputShape.Size;
        outputs = network.OutputShape.Size;
        operations = ServingPlan.Of(network, state, foldBatchNormalization, out ImmutableArray<int> sizes);
        slots = new int[sizes.Length + 1];
        long all = sizes.Sum(size => (long)size);
        if (all > MostFloats)
            throw new ArgumentException(string.Create(
                CultureInfo.InvariantCulture,
                $"The network cannot be served: between its layers, a row takes {all * sizeof(float):N0} bytes, more "
                + $"than the {(long)MostFloats * sizeof(float):N0} that are allowed."), nameof(network));
        for (int i = 0; i < sizes.Length; i++)
            slots[i + 1] = slots[i] + sizes[i];
        int widest = operations.Select(placed => placed.Operation.Outputs).DefaultIfEmpty(outputs).Max();
        blockRows = Math.Clamp(Math.Min(BlockElements / widest, MostFloats / Math.Max(slots[^1], 1)), 1, MaxBlockRows);
        work = operations.Select(placed => placed.Operation.Work).DefaultIfEmpty().Max();
        mostInputs = operations.Select(placed => placed.Inputs.Length).DefaultIfEmpty().Max();
        needsFinite = network.Nodes.Any(
            node => node.Layer is BatchNormalizationLayer { Options.NonFinite: NonFinite.Throw });
    }

    /// <summary>The network.</summary>
    public Network Network { get; }

    /// <summary>Its parameters.</summary>
    public NetworkState State { get; }

    /// <summary>
    /// Computes the outputs of one row or many in inference mode, without a softmax or sigmoid at the end.
    /// </summary>
    /// <param name="features">Row after row, as many values each as the network has inputs.</param>
    /// <param name="outputs">Receives one row of outputs for each, row after row; not the features' memory.</param>
    /// <exception cref="ArgumentException">A length does not fit, or the memory overlaps.</exception>
    /// <exception cref="InvalidDataException">
    /// A feature is not finite, and one of the network's batch normalizations takes that for an error.
    /// </exception>
    public void Predict(ReadOnlySpan<float> features, Span<float> outputs)
    {
        if (!TryPredict(features, outputs))
            throw NotFinite(features);
    }

    /// <summary>The same without an error for a feature that is not finite: false, and no outputs.</summary>
    internal bool TryPredict(ReadOnlySpan<float> features, Span<float> outputs)
    {
        int rows = features.Length == inputs ? 1 : features.Length / inputs;
        if (features.Length != (long)rows * inputs || outputs.Length != (long)rows * this.outputs)
            ThrowLength(features.Length, outputs.Length);
        if (features.Overlaps(outputs))
            throw new ArgumentException("The outputs overlap the features.", nameof(outputs));
        if (needsFinite && !Finite.All(features))
            return false;
        if (operations.Length == 0)
        {
            features.CopyTo(outputs);
            return true;
        }
        fixed (float* x = features, y = outputs)
        {
            for (int row = 0; row < rows; row += blockRows)
                Run(x + (nint)row * inputs, y + (nint)row * this.outputs, Math.Min(blockRows, rows - row));
        }
        return true;
    }

    /// <summary>
    /// Computes the outputs of one row or many in inference mode, without a softmax or sigmoid at the end.
    /// </summary>
    /// <param name="features">Row after row, as many values each as the network has inputs.</param>
    /// <returns>One row of outputs for each, row after row, in a new array.</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="InvalidDataException">
    /// A feature is not finite, and one of the network's batch normalizations takes that for an error.
    /// </exception>
    public float[] Predict(ReadOnlySpan<float> features)
    {
        float[] values = new float[checked(features.Length / inputs * outputs)];
        Predict(features, values);
        return values;
    }

    InvalidDataException NotFinite(ReadOnlySpan<float> features)
    {
        int index = Finite.IndexOf(features);
        return new InvalidDataException(
            $"Feature {index % inputs} of row {index / inputs} is {features[index]}; the network's batch normalization "
            + "needs finite values. Replace it, or set NonFinite.Ignore in the layer's options.");
    }

    void Run(float* x, float* y, int rows)
    {
        int pointers = Aligned(mostInputs * sizeof(float*) / sizeof(float)), values = Start(slots.Length - 1, rows);
        float* memory = Scratch.Get(checked(pointers + values + work)), first = memory + pointers;
        float** from = (float**)memory;
        foreach (ref readonly PlacedOperation placed in operations.AsSpan())
        {
            for (int i = 0; i < placed.Inputs.Length; i++)
                from[i] = placed.Inputs[i] < 0 ? x : first + Start(placed.Inputs[i], rows);
            float* to = placed.Output < 0 ? y : first + Start(placed.Output, rows);
            placed.Operation.Run(from, to, rows, first + values);
        }
    }

    /// <summary>Where a slot begins: behind the one before it, at a cache line's start.</summary>
    int Start(int slot, int rows) => checked(Aligned(rows * slots[slot]) + Line * slot);

    static int Aligned(int floats) => checked(floats + Line - 1) & ~(Line - 1);

    void ThrowLength(int features, int values) =>
        throw new ArgumentException(
            features % inputs != 0
                ? $"A row has {inputs} features; {features} are not a whole number of rows."
                : $"A row has {outputs} outputs; there is room for {values} where {features / inputs} rows need "
                    + $"{(long)(features / inputs) * outputs}.");
}

/// <summary>
/// Memory between the operations of a model: one block a thread, for all models, as large as one has needed.
/// </summary>
static unsafe class Scratch
{
    [ThreadStatic]
    static AlignedMemory<float>? memory;

    /// <summary>At least that many floats, the first at a cache line's start. Whatever was there is lost.</summary>
    public static float* Get(int floats)
    {
        AlignedMemory<float>? block = memory;
        if (block is null || block.Length < floats)
            memory = block = new AlignedMemory<float>(floats);
        return block.Start;
    }
}

/// <summary>An operation with the places of its inputs and its output in memory.</summary>
/// <param name="Operation">What it computes.</param>
/// <param name="Inputs">Slots, or −1 for the features.</param>
/// <param name="Output">A slot, or −1 for the outputs.</param>
readonly record struct PlacedOperation(ServingOperation Operation, int[] Inputs, int Output);

/// <summary>Makes the operations of a model from a network's nodes.</summary>
static class ServingPlan
{
    const int External = -1;

    /// <summary>The operations in their order.</summary>
    /// <param name="network">The network.</param>
    /// <param name="state">Its parameters.</param>
    /// <param name="folds">Whether batch normalizations are folded into products.</param>
    /// <param name="slots">The values of a row that each slot has room for.</param>
    public static PlacedOperation[] Of(Network network, NetworkState state, bool folds, out ImmutableArray<int> slots)
    {
        var operations = new ServingOperations();
        var features = new ServingValue(ValueGraph.Source);
        var values = new List<ServingValue>();
        foreach (NetworkNode node in network.Nodes)
        {
            ServingValue[] inputs = [.. node.Inputs.Select(value => value < 0 ? features : values[value])];
            values.Add(node.Layer.CreateServing(
                new ServingContext(node, state.TryGet(node.Path), inputs, operations, folds)));
            // Nothing more may be folded into what several layers read.
            if (network.Values.ReadersOf(values.Count - 1) != 1)
                operations.Complete(values[^1]);
        }
        if (values.Count > 0)
            operations.Complete(values[^1]);
        return Assign(operations.All, out slots);
    }

    /// <summary>
    /// Gives each operation's output a slot that no value is in which is still to be read; an elementwise operation's
    /// is its input's, if nothing reads that later. The last one's is the memory of the outputs.
    /// </summary>
    static PlacedOperation[] Assign(
        IReadOnlyList<(ServingOperation Operation, int[] Inputs)> operations, out ImmutableArray<int> slots)
    {
        var readers = new ValueGraph([.. operations.Select(operation => operation.Inputs.ToImmutableArray())]);
        var sizes = new List<int>();
        var free = new SortedSet<int>();
        int[] slotOf = new int[operations.Count];
        var placed = new PlacedOperation[operations.Count];
        for (int i = 0; i < operations.Count; i++)
        {
            (ServingOperation operation, int[] inputs) = operations[i];
            int[] from = [.. inputs.Select(value => value < 0 ? External : slotOf[value])];
            int[] ending = [.. from.Where((slot, k) => slot >= 0 && readers.LastReaderOf(inputs[k]) == i).Distinct()];
            int slot = External;
            if (i < operations.Count - 1)
            {
                slot = operation.IsElementwise && ending.Length > 0 ? ending[0] : free.Count > 0 ? free.Min : sizes.Count;
                free.Remove(slot);
                if (slot == sizes.Count)
                    sizes.Add(0);
                sizes[slot] = Math.Max(sizes[slot], operation.Outputs);
            }
            slotOf[i] = slot;
            free.UnionWith(ending.Where(each => each != slot));
            placed[i] = new PlacedOperation(operation, from, slot);
        }
        slots = [.. sizes];
        return placed;
    }
}
