using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.Import;

/// <summary>
/// Turns the nodes of an ONNX graph into the steps of a network: one after the other, in the graph's order. Nodes that
/// are a layer only together, such as those of a Gelu, are imported as one layer at the last of them.
/// </summary>
sealed partial class GraphImport
{
    /// <summary>The versions of the standard operators that are known here.</summary>
    public const int OldestOpSet = 7, NewestOpSet = 26;

    /// <summary>
    /// The bytes that the parameters of any file may take, and the further ones for each byte that the file has.
    /// </summary>
    const long FreeBytes = 1 << 20, BytesPerByte = 16;

    readonly OnnxModel model;
    readonly int opSet;
    readonly Dictionary<string, Operand> operands = new(StringComparer.Ordinal);

    /// <summary>How many nodes read a value, of those that the output depends on.</summary>
    readonly Dictionary<string, int> readers = new(StringComparer.Ordinal);
    readonly List<(OnnxNode Node, string? Reason)> failures = [];
    readonly List<string> notes = [];
    readonly InputTerm inputTerm = new();

    /// <summary>The values that are an input of whole numbers, which is not cast yet.</summary>
    readonly HashSet<string> whole = new(StringComparer.Ordinal);

    /// <summary>The network's input as the file declares it.</summary>
    Value input = null!;
    readonly Dictionary<Term, Term> flattened = [];

    /// <summary>The steps that are read by nodes that cannot be imported.</summary>
    readonly List<Term> unfinished = [];
    int terms;

    /// <summary>The size of the batch, if the file fixes one.</summary>
    int? batch;

    /// <summary>The node that is being imported.</summary>
    OnnxNode node = null!;

    GraphImport(OnnxModel model, long length)
    {
        this.model = model;
        opSet = model.OpSet switch
        {
            null => throw new InvalidDataException(
                "The file is no ONNX file, or it is truncated: it states no version of the standard operators."),
            < OldestOpSet or > NewestOpSet => throw new NotSupportedException(
                $"The file has version {model.OpSet} of the standard operators (opset); {OldestOpSet} to {NewestOpSet} "
                + "can be imported."),
            { } version => (int)version,
        };
        room = FreeBytes + BytesPerByte * length;
    }

    /// <summary>Makes the network.</summary>
    /// <param name="model">The file.</param>
    /// <param name="length">The file's length in bytes, on which it depends how much memory may be taken.</param>
    /// <param name="inputShape">The shape of an input row where the file leaves it open; or null.</param>
    /// <param name="until">The value that becomes the network's output; null for the graph's.</param>
    /// <param name="note">Is called for each way in which the network differs from the file.</param>
    public static SavedNetwork Run(
        OnnxModel model, long length, TensorShape? inputShape, string? until, Action<string>? note)
    {
        var import = new GraphImport(model, length);
        SavedNetwork? network;
        try
        {
            network = import.Make(inputShape, until, channelsLast: false);
        }
        catch (InvalidDataException error) when (import.isResized)
        {
            throw new ArgumentException(
                $"With rows of {inputShape}, not of the file's own shape, the file makes no network: "
                + error.Message.Replace("The file is damaged: ", "", StringComparison.Ordinal)
                + " The argument until can name a value before that.", nameof(inputShape), error);
        }
        if (network is null && model.Nodes.Any(IsToChannelsFirst))
        {
            var other = new GraphImport(model, length);
            try
            {
                network = other.Make(inputShape, until, channelsLast: true);
                import = network is not null || other.Reached > import.Reached ? other : import;
            }
            catch (InvalidDataException)
            {
                // The images have their channels first, and what is wrong with the file is what was found before.
            }
        }
        if (network is null)
            throw import.Failure();
        foreach (string text in import.notes)
            note?.Invoke(text);
        return network;
    }

    /// <summary>Whether a node transposes images to channels first, as exports of Keras's networks begin.</summary>
    static bool IsToChannelsFirst(OnnxNode node) =>
        node.Operator == "Transpose" && node.Ints("perm") is [0, 3, 1, 2];

    /// <summary>The place of the first node that cannot be imported.</summary>
    int Reached => failures.Min(failure => failure.Node.Place);

    NotSupportedException Failure() => new(
        "The file has nodes that cannot be imported: "
        + string.Join("; ", failures.OrderBy(failure => failure.Node.Place).DistinctBy(failure => failure.Node.Place)
            .Select(failure => failure.Reason is null ? $"{failure.Node}" : $"{failure.Node} ({failure.Reason})"))
        + ". The argument until can name a value before them.");

    /// <summary>Makes the network; null if a node cannot be imported.</summary>
    SavedNetwork? Make(TensorShape? inputShape, string? until, bool channelsLast)
    {
        string target = Target(until);
        List<OnnxNode> nodes = NodesBefore(target);
        Declare(inputShape, channelsLast);
        foreach (OnnxNode each in nodes)
        {
            node = each;
            Operand output = Import();
            for (int i = 0; i < node.Outputs.Count; i++)
            {
                if (node.Outputs[i].Length > 0)
                    operands[node.Outputs[i]] = i > 0 ? new Unavailable(node) : WithReaders(output, node.Outputs[0]);
            }
        }
        Term? end = End(operands[target]);
        FindParts(end);
        return failures.Count == 0 ? Build(end!) : null;
    }

    /// <summary>The name of the value that becomes the network's output.</summary>
    string Target(string? until)
    {
        HashSet<string> computed = [.. model.Nodes.SelectMany(node => node.Outputs)];
        if (until is not null)
        {
            return computed.Contains(until) && until.Length > 0 ? until : throw new ArgumentException(
                $"No node computes a value '{until}'. The last nodes compute "
                + string.Join(", ", model.Nodes.Reverse().SelectMany(node => node.Outputs).Take(20)
                    .Select(name => $"'{name}'")) + ".",
                nameof(until));
        }
        string[] outputs = [.. model.Outputs.Where(computed.Contains)];
        return outputs.Length switch
        {
            0 => throw new InvalidDataException("The file is damaged: no node computes an output of the graph."),
            1 => outputs[0],
            _ => throw new NotSupportedException(
                $"The file has the outputs {string.Join(", ", outputs.Select(name => $"'{name}'"))}, and a network has "
                + "one. The argument until can name it."),
        };
    }

    /// <summary>The nodes on which a value depends, in the file's order.</summary>
    List<OnnxNode> NodesBefore(string target)
    {
        var producers = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int i = 0; i < model.Nodes.Count; i++)
        {
            foreach (string name in model.Nodes[i].Outputs)
            {
                if (name.Length > 0 && !producers.TryAdd(name, i))
                    throw model.Nodes[i].Invalid($"'{name}' is computed, which another node computes too");
            }
        }
        bool[] needed = new bool[model.Nodes.Count];
        var open = new Stack<string>([target]);
        while (open.TryPop(out string? name))
        {
            readers[name] = readers.GetValueOrDefault(name) + 1;
            if (!producers.TryGetValue(name, out int i) || needed[i])
                continue;
            needed[i] = true;
            foreach (string input in model.Nodes[i].Inputs)
                open.Push(input);
        }
        return [.. model.Nodes.Where((_, i) => needed[i])];
    }

    /// <summary>Whether the caller's images have another size than the file's.</summary>
    bool isResized;

    /// <summary>Makes the network's input from the one that the nodes read.</summary>
    void Declare(TensorShape? inputShape, bool channelsLast)
    {
        OnnxInput[] inputs =
        [
            .. model.Inputs.Where(input => readers.ContainsKey(input.Name)
                && !model.Initializers.ContainsKey(input.Name)).DistinctBy(input => input.Name),
        ];
        if (inputs.Length == 0)
            throw new InvalidDataException("The file is damaged: its output does not depend on an input.");
        if (inputs.Length > 1)
            throw new NotSupportedException(
                $"The output depends on the inputs {string.Join(", ", inputs.Select(input => $"'{input.Name}'"))}, and "
                + "a network has one. The argument until can name a value that depends on one of them.");
        ImmutableArray<int> shape = ShapeOf(inputs[0], inputShape);
        isResized = inputs[0].Dimensions is { } stated
            && shape.Where((size, i) => stated[i + 1] is { } own && own != size).Any();
        if (isResized)
            notes.Add(
                $"The file's rows have the shape [{string.Join(", ", inputs[0].Dimensions!.Skip(1))}]; the network "
                + $"takes rows of {inputShape}.");
        ShapeFrom(shape);
        batch = inputs[0].Dimensions is [{ } size, ..] ? Small(size) : null;
        if (batch is not null)
            notes.Add($"The file takes batches of {batch}; the network takes batches of any size.");
        if (channelsLast && shape.Length == 3)
        {
            notes.Add(
                "The file's images have their channels last; the network takes rows of channels, height and width.");
            input = new Value(inputTerm, [shape[2], shape[0], shape[1]], [0, 2, 3, 1]);
        }
        else
        {
            input = new Value(inputTerm, shape);
        }
        operands[inputs[0].Name] = input;
        if (inputs[0].Type != default && !IsReal(inputs[0].Type))
            whole.Add(inputs[0].Name);
    }

    /// <summary>
    /// The dimensions of an input row, from the caller or from the file. Of images, which may have their channels first
    /// or last, the caller may give other sizes than the file.
    /// </summary>
    static ImmutableArray<int> ShapeOf(OnnxInput input, TensorShape? inputShape)
    {
        int[]? wanted = inputShape?.Dimensions.ToArray();
        if (input.Dimensions is null)
            return wanted is not null ? [.. wanted] : throw Open();
        if (input.Dimensions.Count < 2)
            throw new NotSupportedException(
                $"The input '{input.Name}' has the shape {Described(input)}; a network takes a batch of rows, as "
                + "[batch, features] or [batch, channels, height, width].");
        long?[] row = [.. input.Dimensions.Skip(1)];
        if (wanted is null)
            return row.Contains(null) ? throw Open() : [.. row.Select(size => Small(size!.Value))];
        return wanted.Length == row.Length
            && (!row.Where((size, i) => size is not null && size != wanted[i]).Any() || HasItsChannels())
            ? [.. wanted]
            : throw new ArgumentException(
                $"The rows of the input '{input.Name}' cannot be {inputShape}: its shape is {Described(input)}, batch "
                + "first. Only height and width of images may differ.", nameof(inputShape));

        bool HasItsChannels() =>
            row is [{ } first, _, _] && first == wanted[0] || row is [_, _, { } last] && last == wanted[2];

        ArgumentException Open() => new(
            $"The file leaves the shape of the input '{input.Name}' open: {Described(input)}. Give the shape of a row, "
            + "such as inputShape: new(3, 224, 224).", nameof(inputShape));
    }

    static string Described(OnnxInput input) => input.Dimensions is null
        ? "it states none"
        : $"[{string.Join(", ", input.Dimensions.Select(size => size?.ToString() ?? "?"))}]";

    /// <summary>A size that an array can have.</summary>
    static int Small(long size) => size is > 0 and <= Network.MaxRowSize
        ? (int)size
        : throw new InvalidDataException($"The file is damaged, or too large: it has the size {size}.");

    Operand WithReaders(Operand output, string name) =>
        output is Value { IsShared: false } value && readers.GetValueOrDefault(name) > 1
            ? new Value(value.Term, value.Shape, value.Order)
            {
                IsShared = true, Moved = value.Moved, Viewer = value.Viewer,
            }
            : output;

    /// <summary>The step whose output is the network's; null, with a failure, if there is none.</summary>
    Term? End(Operand output)
    {
        if (output is Unknown)
            return null;
        if (output is Value value)
        {
            while (value.Term is PartTerm { Kind: PartKind.Softmax } softmax)
            {
                notes.Add($"{softmax.Node} at the end is left out: the loss of a training has a softmax of its own.");
                value = value.With(softmax.Input.Term);
            }
            if (value.AsPlain() is { } plain && Settle(plain) is { } end)
                return end;
        }
        Fail("its output is transposed or has another shape than its layer's");
        return null;
    }

    /// <summary>Finds the steps that are needed and are no layers, and makes failures of their nodes.</summary>
    void FindParts(Term? end)
    {
        foreach (PartTerm part in Needed(end is null ? unfinished : unfinished.Append(end)).OfType<PartTerm>())
        {
            failures.Add((part.Node!, part.Kind switch
            {
                PartKind.Erf => "it is not part of a Gelu",
                PartKind.Pad => "no window after it can take its padding",
                PartKind.Softmax => "it is not at the end",
                _ => "it is not part of a layer that keeps NaN",
            }));
        }
    }

    /// <summary>Steps, and all those on which they depend.</summary>
    static HashSet<Term> Needed(IEnumerable<Term> ends)
    {
        HashSet<Term> needed = [.. ends];
        var open = new Stack<Term>(needed);
        while (open.TryPop(out Term? term))
        {
            foreach (Term input in term.Inputs)
            {
                if (needed.Add(input))
                    open.Push(input);
            }
        }
        return needed;
    }

    /// <summary>Imports the node.</summary>
    Operand Import()
    {
        Operand output = Imported();
        if (output is Unknown)
            unfinished.AddRange(Enumerable.Range(0, node.Inputs.Count).Select(In).OfType<Value>().Select(x => x.Term));
        return output;
    }

    Operand Imported()
    {
        Func<Operand>? import = Find(node.Operator);
        Unavailable? unavailable = null;
        bool isUnknown = false;
        for (int i = 0; i < node.Inputs.Count; i++)
        {
            Operand? operand = In(i);
            unavailable ??= operand as Unavailable;
            isUnknown |= operand is Unknown;
        }
        if (import is null)
            return Fail(null);
        if (unavailable is not null)
        {
            failures.Add((unavailable.Node, "another output than its first is read"));
            return Unknown.Value;
        }
        return isUnknown ? Unknown.Value
            : IsOfWholeNumbers() ? Fail("it computes with whole numbers")
            : import();
    }

    /// <summary>Whether the node would compute with whole numbers, as when it divides them without a rest.</summary>
    bool IsOfWholeNumbers()
    {
        if (node.Operator is "Cast" or "Shape" || !node.Inputs.Any(whole.Contains))
            return false;
        whole.UnionWith(node.Outputs);
        return node.Operator is not ("Flatten" or "Identity" or "Reshape" or "Squeeze" or "Transpose" or "Unsqueeze");
    }

    Func<Operand>? Find(string type) => type switch
    {
        "Add" => () => Sum(In(0), In(1)),
        "AveragePool" => () => Pool(Pooling.Average),
        "BatchNormalization" => Normalize,
        "Cast" => Cast,
        "Clip" => Clip,
        "Concat" => Concat,
        "Constant" => ConstantOf,
        "Conv" => Convolve,
        "Div" => Divide,
        "Dropout" => Dropout,
        "Erf" => () => Part(PartKind.Erf),
        "Flatten" => Flatten,
        "Gather" => Gather,
        "Gelu" => Gelu,
        "Gemm" => Gemm,
        "GlobalAveragePool" => Average,
        "HardSigmoid" => HardSigmoid,
        "HardSwish" => () => Activate(Activation.HardSwish),
        "Identity" => Identity,
        "IsNaN" => IsNaN,
        "LeakyRelu" => LeakyReLU,
        "LogSoftmax" or "Softmax" => Softmax,
        "MatMul" => MultiplyMatrices,
        "Max" => () => Bound(isLower: true),
        "MaxPool" => () => Pool(Pooling.Max),
        "Min" => () => Bound(isLower: false),
        "Mul" => () => Multiply(In(0), In(1)),
        "Pad" => Pad,
        "ReduceMean" => ReduceMean,
        "Relu" => () => Activate(Activation.ReLU),
        "Reshape" => Reshape,
        "Shape" => Shape,
        "Sigmoid" => () => Activate(Activation.Sigmoid),
        "Slice" => Slice,
        "Squeeze" => Squeeze,
        "Sub" => Subtract,
        "Sum" => AddAll,
        "Swish" => Swish,
        "Tanh" => () => Activate(Activation.Tanh),
        "Transpose" => Transpose,
        "Unsqueeze" => Unsqueeze,
        "Where" => Where,
        _ => null,
    };

    /// <summary>What the node reads; null for an optional input that is left out.</summary>
    Operand? In(int index)
    {
        if (index >= node.Inputs.Count || node.Inputs[index].Length == 0)
            return null;
        string name = node.Inputs[index];
        if (operands.TryGetValue(name, out Operand? known))
            return known;
        return model.Initializers.TryGetValue(name, out OnnxTensor? tensor)
            ? operands[name] = Constant.Of(name.StartsWith("onnx::", StringComparison.Ordinal) ? "" : name, tensor)
            : throw node.Invalid($"'{name}' is read, which no node before it computes");
    }

    /// <summary>The node cannot be imported.</summary>
    /// <param name="reason">Why, if its operator can be in other forms.</param>
    Unknown Fail(string? reason)
    {
        failures.Add((node, reason));
        return Unknown.Value;
    }

    /// <summary>
    /// The step that computes a value in the shape in which it is seen, or in the shape [channels] where it is seen as
    /// [channels, 1, 1]; null if there is none.
    /// </summary>
    Term? Settle(Value value)
    {
        if (value.Moved is not null || value.Shape.IsEmpty)
            return null;
        if (value.Term is InputTerm)
            inputTerm.Settled ??= ShapeFrom(value.Shape);
        TensorShape shape = value.Term.Shape;
        if (value.Shape.AsSpan().SequenceEqual(shape.Dimensions))
            return value.Term;
        if (value.Shape.Length == 1)
            return Flattened(value.Term, value.Viewer);
        return shape.Rank == 1 && value.Shape[0] == shape[0] ? value.Term : null;
    }

    static TensorShape ShapeFrom(ImmutableArray<int> dimensions)
    {
        try
        {
            return new TensorShape(dimensions.AsSpan());
        }
        catch (ArgumentException error)
        {
            throw new InvalidDataException($"The file is damaged, or too large: {Check.Text(error)}", error);
        }
    }

    Term Flattened(Term term, OnnxNode? viewer)
    {
        if (term.Shape.Rank == 1)
            return term;
        if (!flattened.TryGetValue(term, out Term? flat))
            flattened[term] = flat = Layer(new FlattenLayer(), viewer, [term]);
        return flat;
    }

    /// <summary>A step that is a layer of the node.</summary>
    LayerTerm Layer(Layer layer, ImmutableArray<Term> inputs, LayerState? state = null, params string[] tensors) =>
        Layer(layer, node, inputs, state, [.. tensors.Where(name => name.Length > 0)]);

    LayerTerm Layer(
        Layer layer, OnnxNode? from, ImmutableArray<Term> inputs, LayerState? state = null,
        ImmutableArray<string>? tensors = null)
    {
        ImmutableArray<TensorShape> shapes = [.. inputs.Select(input => input.Shape)];
        try
        {
            TensorShape output = layer.OutputShape(shapes);
            layer.CheckRow(shapes, "output", [.. output.Dimensions]);
            return new LayerTerm(from, terms++, layer, inputs, output, state, tensors ?? []);
        }
        catch (ArgumentException error)
        {
            throw (from ?? node).Invalid($"the shapes do not fit: {Check.Text(error).TrimEnd('.')}");
        }
    }

    PartTerm PartOf(PartKind kind, Value input) => new(node, terms++, kind, input);
}
