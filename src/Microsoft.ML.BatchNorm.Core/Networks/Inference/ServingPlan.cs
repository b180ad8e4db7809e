using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.Inference;

/// <summary>A step with the places of its inputs and its output in memory.</summary>
/// <param name="Step">What it computes.</param>
/// <param name="Inputs">Slots, or −1 for the features.</param>
/// <param name="Output">A slot, or −1 for the outputs.</param>
readonly record struct ServingOperation(ServingStep Step, int[] Inputs, int Output);

/// <summary>Makes the operations of a model from a network's nodes.</summary>
sealed class ServingPlan
{
    const int External = -1;

    readonly Network network;
    readonly NetworkState state;
    readonly bool folds;
    readonly List<(ServingStep Step, int[] Inputs)> steps = [];
    readonly Value[] values;
    readonly Value features;

    ServingPlan(Network network, NetworkState state, bool folds)
    {
        (this.network, this.state, this.folds) = (network, state, folds);
        values = new Value[network.Nodes.Count];
        features = new Value(network.InputShape) { First = External };
        for (int i = 0; i < values.Length; i++)
        {
            NetworkNode node = network.Nodes[i];
            values[i] = Add(node, [.. node.Inputs.Select(ValueAt)]);
            // What several steps read must be there as the network defines it.
            if (network.Values.ReadersOf(i) != 1)
                Close(values[i]);
        }
        if (values.Length > 0)
            ChannelsFirst(values[^1]);
    }

    /// <summary>The operations in their order.</summary>
    /// <param name="network">The network.</param>
    /// <param name="state">Its parameters.</param>
    /// <param name="folds">Whether batch normalizations are folded into products.</param>
    /// <param name="slots">The values of a row that each slot has room for.</param>
    public static ServingOperation[] Of(Network network, NetworkState state, bool folds, out ImmutableArray<int> slots) =>
        new ServingPlan(network, state, folds).Assign(out slots);

    Value ValueAt(int node) => node < 0 ? features : values[node];

    Value Add(NetworkNode node, Value[] inputs)
    {
        Value input = inputs[0];
        switch (node.Layer)
        {
            case DropoutLayer:
                return input;
            case BatchNormalizationLayer layer:
                return Normalize(node, layer, input, state[node.Path].BatchNormalization!);
            case ActivationLayer layer when input.Draft is { } draft:
                draft.Activation = layer;
                Close(input);
                return input;
            case ActivationLayer layer:
                return Same(input, new ActivationStep(layer, node.Input.Size));
            case DenseLayer:
                return new Value(node.Output)
                {
                    Draft = new ProductDraft(node, state[node.Path]), DraftInput = ChannelsFirst(input),
                };
            case Conv2DLayer:
                return new Value(node.Output)
                {
                    Draft = new ProductDraft(node, state[node.Path]), DraftInput = ChannelsLast(input),
                };
            case Pool2DLayer layer:
                return new Value(node.Output)
                {
                    Last = Emit(new PoolStep(layer, node.Input, node.Output), ChannelsLast(input)),
                };
            case GlobalAveragePool2DLayer:
                return new Value(node.Output) { First = Emit(new GlobalAverageStep(node.Input), ChannelsLast(input)) };
            case FlattenLayer:
                return new Value(node.Output) { First = ChannelsFirst(input) };
            case AddLayer:
                return Merge(node, inputs, new AddStep(inputs.Length, node.Output.Size));
            case ConcatLayer:
                int places = node.Output.Size / node.Output[0], run = IsLast(inputs) ? 1 : places;
                return Merge(
                    node, inputs, new ConcatStep([.. node.InputShapes.Select(shape => shape[0] * run)], places / run));
            case TorchScriptLayer:
                throw TorchScriptLayer.NeedsTorch(node.Path);
            default:
                throw new NotSupportedException($"Layer '{node.Path}' ({node.Layer.Kind}) cannot be served.");
        }
    }

    Value Normalize(NetworkNode node, BatchNormalizationLayer layer, Value input, BatchNormalizationState state)
    {
        if (!layer.Options.TrackMovingStatistics)
            throw new ArgumentException(
                $"Layer '{node.Path}' has TrackMovingStatistics = false: it normalizes each batch with the batch's own "
                + "statistics, and a single row cannot be served.");
        var map = new AffineMap(layer.Options, state);
        if (folds && input.Draft is { } draft && draft.TryFold(layer, map))
            return input;
        Close(input);
        ChannelLayout row = layer.Layout(node.Input, 1);
        if (input.IsLast)
        {
            TensorShape image = node.Input;
            int axis = layer.AxisIn(image);
            row = new ChannelLayout([1, image[1], image[2], image[0]], axis == 1 ? 3 : axis - 1);
        }
        return Same(input, new AffineStep(map.ForRows<float>(row)));
    }

    /// <summary>A step that gives its input's layout.</summary>
    Value Same(Value input, ServingStep step)
    {
        Close(input);
        return input.IsLast
            ? new Value(input.Shape) { Last = Emit(step, input.Last!.Value) }
            : new Value(input.Shape) { First = Emit(step, input.First!.Value) };
    }

    /// <summary>A step of several inputs in one layout: channels last where one of them is so already.</summary>
    Value Merge(NetworkNode node, Value[] inputs, ServingStep step) => IsLast(inputs)
        ? new Value(node.Output) { Last = Emit(step, [.. inputs.Select(ChannelsLast)]) }
        : new Value(node.Output) { First = Emit(step, [.. inputs.Select(ChannelsFirst)]) };

    bool IsLast(Value[] inputs)
    {
        Array.ForEach(inputs, Close);
        return Array.Exists(inputs, input => input.IsLast);
    }

    /// <summary>Adds the step of a product that waits for what can be folded into it.</summary>
    void Close(Value value)
    {
        if (value.Draft is not { } draft)
            return;
        value.Draft = null;
        int output = Emit(draft.Complete(), value.DraftInput);
        if (value.Shape.Rank == 3)
            value.Last = output;
        else
            value.First = output;
    }

    /// <summary>The value with its channels last, as images have them here.</summary>
    int ChannelsLast(Value value)
    {
        Close(value);
        TensorShape image = value.Shape;
        return value.Last ??= IsTransposed(image)
            ? Emit(new TransposeStep(image[0], image[1] * image[2]), value.First!.Value)
            : value.First!.Value;
    }

    /// <summary>The value as the network defines it, with an image's channels first.</summary>
    int ChannelsFirst(Value value)
    {
        Close(value);
        TensorShape image = value.Shape;
        return value.First ??= IsTransposed(image)
            ? Emit(new TransposeStep(image[1] * image[2], image[0]), value.Last!.Value)
            : value.Last!.Value;
    }

    static bool IsTransposed(TensorShape image) => image[0] > 1 && image[1] * image[2] > 1;

    int Emit(ServingStep step, params int[] inputs)
    {
        steps.Add((step, inputs));
        return steps.Count - 1;
    }

    /// <summary>
    /// Gives each step's output a slot that no value is in which is still to be read; an elementwise step's is its
    /// input's, if nothing reads that later. The last one's is the memory of the outputs.
    /// </summary>
    ServingOperation[] Assign(out ImmutableArray<int> slots)
    {
        var readers = new ValueGraph([.. steps.Select(step => step.Inputs.ToImmutableArray())]);
        var sizes = new List<int>();
        var free = new SortedSet<int>();
        int[] slotOf = new int[steps.Count];
        var operations = new ServingOperation[steps.Count];
        for (int i = 0; i < steps.Count; i++)
        {
            (ServingStep step, int[] inputs) = steps[i];
            int[] from = [.. inputs.Select(value => value < 0 ? External : slotOf[value])];
            int[] ending = [.. from.Where((slot, k) => slot >= 0 && readers.LastReaderOf(inputs[k]) == i).Distinct()];
            int slot = External;
            if (i < steps.Count - 1)
            {
                slot = step.IsElementwise && ending.Length > 0 ? ending[0] : free.Count > 0 ? free.Min : sizes.Count;
                free.Remove(slot);
                if (slot == sizes.Count)
                    sizes.Add(0);
                sizes[slot] = Math.Max(sizes[slot], step.Outputs);
            }
            slotOf[i] = slot;
            free.UnionWith(ending.Where(each => each != slot));
            operations[i] = new ServingOperation(step, from, slot);
        }
        slots = [.. sizes];
        return operations;
    }

    /// <summary>A node's value: the steps that give it in each layout, or a product that is not complete.</summary>
    sealed class Value(TensorShape shape)
    {
        public TensorShape Shape => shape;

        /// <summary>The step that gives it as the network defines it; −1 for the features.</summary>
        public int? First { get; set; }

        /// <summary>The step that gives it with an image's channels last.</summary>
        public int? Last { get; set; }

        /// <summary>Whether steps go on from the value with its channels last.</summary>
        public bool IsLast => Last is not null;

        public ProductDraft? Draft { get; set; }

        public int DraftInput { get; init; }
    }
}
