namespace Microsoft.ML.BatchNorm.Import;

/// <summary>What the import needs of an ONNX file.</summary>
/// <param name="Producer">The program that wrote the file; may be empty.</param>
/// <param name="OpSet">
/// The version of the standard operators; 1 in the oldest formats, which state none; else null if the file states none.
/// </param>
/// <param name="Nodes">The nodes in the file's order, in which each reads only what is before it.</param>
/// <param name="Initializers">The tensors of the file by their names.</param>
/// <param name="Inputs">The graph's inputs. In old files the initializers are among them.</param>
/// <param name="Outputs">The names of the graph's outputs.</param>
sealed record OnnxModel(
    string Producer, long? OpSet, IReadOnlyList<OnnxNode> Nodes, IReadOnlyDictionary<string, OnnxTensor> Initializers,
    IReadOnlyList<OnnxInput> Inputs, IReadOnlyList<string> Outputs);

/// <summary>An input of the graph.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">The type of its elements; 0 if the file does not state it.</param>
/// <param name="Dimensions">
/// Its dimensions, batch first; null for one that the file leaves open. Null if the file states no shape.
/// </param>
sealed record OnnxInput(string Name, OnnxType Type, IReadOnlyList<long?>? Dimensions);

/// <summary>A node of the graph.</summary>
/// <param name="Place">Its place in the file.</param>
/// <param name="Name">Its name; may be empty.</param>
/// <param name="Operator">Its operator, with the domain in front unless it is a standard operator.</param>
/// <param name="Inputs">The names of the values that it reads; empty for an optional one that is left out.</param>
/// <param name="Outputs">The names of the values that it gives; empty for an optional one that is left out.</param>
/// <param name="Attributes">Its attributes.</param>
sealed record OnnxNode(
    int Place, string Name, string Operator, IReadOnlyList<string> Inputs,
    IReadOnlyList<string> Outputs, IReadOnlyList<OnnxAttribute> Attributes)
{
    public long Int(string name, long otherwise) => Find(name) is { } attribute
        ? attribute.Int ?? (attribute.Kind == 2 ? 0 : throw Wrong(name, "a whole number"))
        : otherwise;

    public float Float(string name, float otherwise) => Find(name) is { } attribute
        ? attribute.Float ?? (attribute.Kind == 1 ? 0 : throw Wrong(name, "a number"))
        : otherwise;

    public float Finite(string name, float otherwise) =>
        Float(name, otherwise) is var number && float.IsFinite(number) ? number : throw Wrong(name, "a finite number");

    public string Text(string name, string otherwise) => Find(name) is { } attribute
        ? attribute.Text ?? (attribute.Kind == 3 ? "" : throw Wrong(name, "a text"))
        : otherwise;

    /// <summary>The whole numbers of an attribute; null if the node does not have it.</summary>
    public long[]? Ints(string name) => Find(name)?.Ints;

    public OnnxAttribute? Find(string name)
    {
        foreach (OnnxAttribute attribute in Attributes)
        {
            if (attribute.Name == name)
                return attribute;
        }
        return null;
    }

    public InvalidDataException Wrong(string attribute, string needed) =>
        Invalid($"the attribute '{attribute}' must be {needed}");

    /// <summary>The error for a node that contradicts the standard or itself.</summary>
    /// <param name="fault">What is wrong, as the rest of a sentence.</param>
    public InvalidDataException Invalid(string fault) => new($"The file is damaged: in {this}, {fault}.");

    /// <summary>Operator and name: <c>Conv '/conv1/Conv'</c>. Without a name, the name of its output.</summary>
    public override string ToString() => Name.Length > 0 || Outputs.Count == 0
        ? $"{Operator} '{Name}'"
        : $"{Operator} with the output '{Outputs[0]}'";
}

/// <summary>An attribute of a node.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Kind">
/// What it is: 1 for a number, 2 for a whole number, 3 for a text. Some programs leave out a number that is 0.
/// </param>
/// <param name="Float">The number, if the file has one.</param>
/// <param name="Int">The whole number, if the file has one.</param>
/// <param name="Text">The text, if the file has one.</param>
/// <param name="Tensor">The tensor, or several numbers as one, if the file has them.</param>
/// <param name="Ints">Whole numbers.</param>
sealed record OnnxAttribute(
    string Name, int Kind, float? Float, long? Int, string? Text, OnnxTensor? Tensor, long[] Ints);
