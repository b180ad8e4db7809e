using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.Import;

// From steps to a network.
sealed partial class GraphImport
{
    /// <summary>Makes the network that ends with a step, all of whose steps are layers.</summary>
    SavedNetwork Build(Term end)
    {
        if (!input.Shape.AsSpan().SequenceEqual(inputTerm.Shape.Dimensions))
            notes.Add(
                $"The file's rows are {new TensorShape(input.Shape.AsSpan())}, and the network's {inputTerm.Shape}, "
                + "with the same values.");
        Term[] steps = [.. Needed([end]).Where(term => term != inputTerm).OrderBy(term => term.Number)];
        Dictionary<Term, string> paths = PathsOf(steps);
        var places = new Dictionary<Term, int> { [inputTerm] = ValueGraph.Source };
        var nodes = new List<(string Path, Layer Layer, ImmutableArray<int> Inputs)>();
        var states = new List<KeyValuePair<string, LayerState>>();
        foreach (Term term in steps)
        {
            (Layer layer, LayerState? state) = term is LayerTerm known
                ? (known.Layer, known.State)
                : Frozen((ScaleTerm)term);
            places[term] = nodes.Count;
            nodes.Add((paths[term], layer, [.. term.Inputs.Select(input => places[input])]));
            if (state is not null)
                states.Add(KeyValuePair.Create(paths[term], state));
        }
        try
        {
            Network network = Network.OfNodes(inputTerm.Shape, Preset, nodes);
            var state = new NetworkState(states);
            return network.Fault(state) is { } fault
                ? throw new InvalidDataException($"The file is damaged: {fault}")
                : new SavedNetwork(network, state);
        }
        catch (ArgumentException error)
        {
            throw new InvalidDataException(
                $"The file's network breaks a rule for networks: {Check.Text(error)}", error);
        }
    }

    /// <summary>
    /// The paths of the layers: what the names of a layer's tensors have in common, else the name of its node, else its
    /// operator and a number.
    /// </summary>
    static Dictionary<Term, string> PathsOf(IReadOnlyCollection<Term> steps)
    {
        var paths = new Dictionary<Term, string>();
        var free = new FreePaths();
        // Names of tensors are those of the framework's modules, and so come first.
        foreach (Term term in steps)
        {
            if (OnnxNames.CommonPath(term.Tensors) is { } path)
                paths[term] = free.Take(path);
        }
        var numbers = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (Term term in steps)
        {
            string kind = term.Node?.Operator ?? "Flatten";
            int number = numbers[kind] = numbers.GetValueOrDefault(kind, -1) + 1;
            if (!paths.ContainsKey(term))
                paths[term] = free.Take(OnnxNames.Path(term.Node?.Name ?? "") ?? OnnxNames.Path($"{kind}_{number}")!);
        }
        return paths;
    }
}
