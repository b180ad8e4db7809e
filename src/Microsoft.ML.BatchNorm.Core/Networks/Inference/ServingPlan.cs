using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>A step with the places of its inputs and its output in memory.</summary>
/// <param name="Step">What it computes.</param>
/// <param name="Inputs">Slots, or −1 for the features.</param>
/// <param name="Output">A slot, or −1 for the outputs.</param>
readonly record struct ServingOperation(ServingStep Step, int[] Inputs, int Output);

/// <summary>Makes the operations of a model from a network's nodes.</summary>
static class ServingPlan
{
    const int External = -1;

    /// <summary>The operations in their order.</summary>
    /// <param name="network">The network.</param>
    /// <param name="state">Its parameters.</param>
    /// <param name="folds">Whether batch normalizations are folded into products.</param>
    /// <param name="slots">The values of a row that each slot has room for.</param>
    public static ServingOperation[] Of(Network network, NetworkState state, bool folds, out ImmutableArray<int> slots)
    {
        var steps = new ServingSteps();
        var features = new ServingValue(ValueGraph.Source);
        var values = new List<ServingValue>();
        foreach (NetworkNode node in network.Nodes)
        {
            ServingValue[] inputs = [.. node.Inputs.Select(value => value < 0 ? features : values[value])];
            values.Add(node.Layer.CreateServing(
                new ServingContext(node, state.TryGet(node.Path), inputs, steps, folds)));
            // Nothing more may be folded into what several layers read.
            if (network.Values.ReadersOf(values.Count - 1) != 1)
                steps.Complete(values[^1]);
        }
        if (values.Count > 0)
            steps.Complete(values[^1]);
        return Assign(steps.All, out slots);
    }

    /// <summary>
    /// Gives each step's output a slot that no value is in which is still to be read; an elementwise step's is its
    /// input's, if nothing reads that later. The last one's is the memory of the outputs.
    /// </summary>
    static ServingOperation[] Assign(
        IReadOnlyList<(ServingStep Step, int[] Inputs)> steps, out ImmutableArray<int> slots)
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
}
