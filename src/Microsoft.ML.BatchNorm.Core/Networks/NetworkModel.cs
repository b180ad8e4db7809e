using System.Collections.Immutable;
using System.Globalization;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A network that is prepared for prediction: batch normalizations are folded into kernels, and weights are laid out
/// for the processor. Immutable; any number of threads may use it at the same time. Once a thread has predicted as many
/// rows, a prediction allocates nothing but the array that it returns.
/// </summary>
/// <remarks>The outputs of a row have the same bits whether it is predicted alone or with others.</remarks>
public sealed unsafe class NetworkModel
{
    /// <summary>
    /// Rows are predicted in blocks whose widest output has at most about this many floats, half of what a core's
    /// second-level cache holds.
    /// </summary>
    const int BlockElements = 1 << 17;

    const int MaxBlockRows = 256;

    /// <summary>
    /// The most floats that a row may need between the layers. Without a limit, a few bytes of a file could demand any
    /// amount of memory.
    /// </summary>
    const int MostFloats = Network.MaxOpenSize;

    /// <summary>The number of floats in a cache line.</summary>
    const int Line = 16;

    readonly PlacedOperation[] operations;

    /// <summary>
    /// For each slot, the number of values of a row in all slots before it; last, the number in all slots.
    /// </summary>
    readonly int[] slots;
    readonly int inputs, outputs, blockRows, work, pointers;
    readonly bool needsFinite;

    /// <summary>Prepares a network for prediction. Its parameters are copied.</summary>
    /// <param name="network">The network.</param>
    /// <param name="state">The network's parameters.</param>
    /// <param name="foldBatchNormalization">
    /// Whether a batch normalization is folded into the dense layer or convolution before it. This changes outputs only
    /// by rounding.
    /// </param>
    /// <exception cref="ArgumentException">
    /// The state does not fit the network, a batch normalization has no moving statistics, or a row needs too much
    /// memory between the layers.
    /// </exception>
    /// <exception cref="NotSupportedException">A layer is a <see cref="TorchScriptLayer"/>.</exception>
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
        // An operation of one input takes its address; another takes an array of addresses.
        int most = operations.Select(placed => placed.Inputs.Length).DefaultIfEmpty().Max();
        pointers = most > 1 ? Aligned(most * sizeof(float*) / sizeof(float)) : 0;
        needsFinite = network.NeedsFinite;
    }

    /// <summary>The network.</summary>
    public Network Network { get; }

    /// <summary>The network's parameters.</summary>
    public NetworkState State { get; }

    /// <summary>
    /// Computes the outputs of one or more rows in inference mode. They are those of the last layer, without the
    /// softmax or sigmoid that belongs to a loss.
    /// </summary>
    /// <param name="features">
    /// The rows, one after the other, each with as many values as the network has inputs.
    /// </param>
    /// <param name="outputs">
    /// Receives a row of outputs for each row, one after the other. It must not overlap the features.
    /// </param>
    /// <exception cref="ArgumentException">A length does not fit, or the memory overlaps.</exception>
    /// <exception cref="InvalidDataException">
    /// A feature is not finite, and a batch normalization of the network treats that as an error.
    /// </exception>
    public void Predict(ReadOnlySpan<float> features, Span<float> outputs)
    {
        if (!TryPredict(features, outputs))
            throw NotFinite(features);
    }

    /// <summary>Predicts, or returns false, without outputs, if a feature is not finite and that is an error.</summary>
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
    /// Computes the outputs of one or more rows in inference mode. They are those of the last layer, without the
    /// softmax or sigmoid that belongs to a loss.
    /// </summary>
    /// <param name="features">
    /// The rows, one after the other, each with as many values as the network has inputs.
    /// </param>
    /// <returns>A new array with a row of outputs for each row, one after the other.</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="InvalidDataException">
    /// A feature is not finite, and a batch normalization of the network treats that as an error.
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
        int values = Start(slots.Length - 1, rows), needed = checked(pointers + values + work);
        float* memory = needed == 0 ? null : Scratch.Get(needed), first = memory + pointers;
        float** from = (float**)memory;
        foreach (ref readonly PlacedOperation placed in operations.AsSpan())
        {
            float* to = At(placed.Output, y, first, rows);
            int[] read = placed.Inputs;
            if (read.Length == 1)
            {
                placed.Operation.Run(At(read[0], x, first, rows), to, rows, first + values);
                continue;
            }
            for (int i = 0; i < read.Length; i++)
                from[i] = At(read[i], x, first, rows);
            placed.Operation.Run(from, to, rows, first + values);
        }
    }

    /// <summary>The address of a slot, or of the memory outside of the model.</summary>
    float* At(int slot, float* outside, float* first, int rows) =>
        slot < 0 ? outside : slot == 0 ? first : first + Start(slot, rows);

    /// <summary>Where a slot begins, in floats: after the slots before it, at the start of a cache line.</summary>
    int Start(int slot, int rows) => checked(Aligned(rows * slots[slot]) + Line * slot);

    static int Aligned(int floats) => checked(floats + Line - 1) & ~(Line - 1);

    void ThrowLength(int features, int values) =>
        throw new ArgumentException(
            features % inputs != 0
                ? $"A row has {inputs} features; {features} are not a whole number of rows."
                : $"A row has {outputs} outputs; there is room for {values}, and "
                    + $"{(features == inputs ? "1 row needs" : $"{features / inputs} rows need")} "
                    + $"{(long)(features / inputs) * outputs}.");
}

/// <summary>
/// Memory for the values between the operations of a model. Each thread has one block for all models, which grows to
/// the largest need.
/// </summary>
static unsafe class Scratch
{
    [ThreadStatic]
    static AlignedMemory<float>? memory;

    /// <summary>Gives at least that many floats, from the start of a cache line on. Old contents may be lost.</summary>
    public static float* Get(int floats)
    {
        AlignedMemory<float>? block = memory;
        if (block is null || block.Length < floats)
            memory = block = new AlignedMemory<float>(floats);
        return block.Start;
    }
}

/// <summary>An operation, and where its inputs and its output are in memory.</summary>
/// <param name="Operation">What it computes.</param>
/// <param name="Inputs">The slots of the inputs; −1 for the features.</param>
/// <param name="Output">The slot of the output; −1 for the memory that receives the model's outputs.</param>
readonly record struct PlacedOperation(ServingOperation Operation, int[] Inputs, int Output);

/// <summary>Makes the operations of a model from a network's nodes.</summary>
static class ServingPlan
{
    const int External = -1;

    /// <summary>Makes the operations, in the order in which they run.</summary>
    /// <param name="network">The network.</param>
    /// <param name="state">The network's parameters.</param>
    /// <param name="folds">Whether batch normalizations are folded into products.</param>
    /// <param name="slots">The number of values of a row that each slot holds.</param>
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
            // If several layers read a product, nothing may be folded into it for one of them.
            if (network.Values.ReadersOf(values.Count - 1) != 1)
                operations.Complete(values[^1]);
        }
        if (values.Count > 0)
            operations.Complete(values[^1]);
        return Assign(operations.All, out slots);
    }

    /// <summary>
    /// Gives each operation's output a slot whose value no later operation reads. The output of an elementwise
    /// operation takes the slot of an input if no later operation reads that. The output of the last operation goes to
    /// the memory that receives the model's outputs.
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
