namespace Microsoft.ML.BatchNorm;

/// <summary>The kinds of files that this library writes, as their metadata states them.</summary>
static class FileKind
{
    /// <summary>One batch normalization with its options: <see cref="BatchNormalizationState.Save"/>.</summary>
    public const string State = "state";

    /// <summary>A network with its state: <see cref="BatchNorm.Network.Save"/>.</summary>
    public const string Network = "network";

    /// <summary>A training run that can be resumed: <see cref="TrainingCheckpoint.Save"/>.</summary>
    public const string Checkpoint = "checkpoint";

    /// <summary>Tensors under the names of Keras or PyTorch: <c>SaveSafetensors</c>.</summary>
    public const string Weights = "weights";

    /// <summary>The statistics of a shard: <see cref="PartialStatistics.Save"/>.</summary>
    public const string Partial = "partial";
}

/// <summary>
/// Makes the errors for files that are not what they are read as. They say what the file is and what reads it.
/// </summary>
static class OtherFile
{
    const string TorchWeights =
        "In Python, write the weights with safetensors.torch.save_file(model.state_dict(), path)";

    const string KerasWeights =
        "safetensors.numpy.save_file({f'{l.name}/{w.name}': w.numpy() for l in model.layers for w in l.weights}, "
        + "path)";

    static readonly (string Start, string What)[] known =
    [
        ("PK\u0003\u0004", "a zip archive, as torch.save (.pt, .pth), Keras (.keras) and NumPy (.npz) write it. "
            + $"{TorchWeights}, those of Keras with {KerasWeights}."),
        ("\u0089HDF\r\n\u001A\n", "an HDF5 file, as Keras writes it (.h5). "
            + $"In Python, write the weights with {KerasWeights}."),
        ("\u001F\u008B\b", "compressed with gzip. Decompress it first."),
        ("\u0080\u0002", Pickle), ("\u0080\u0003", Pickle), ("\u0080\u0004", Pickle), ("\u0080\u0005", Pickle),
        ("\u0093NUMPY", "a NumPy array (.npy). In Python, write arrays with safetensors.numpy.save_file."),
        ("GGUF", "a GGUF file, as llama.cpp reads it. Take the model's safetensors file."),
        ("version ", "a pointer of Git LFS and not the file itself. Fetch that with git lfs pull."),
        ("<", "a page of HTML or XML, as a download that failed leaves it. Download the file again."),
        ("{", "JSON. If it is an index of several files, give its path to Network.LoadSafetensors."),
    ];

    const string Pickle = $"a Python pickle, as older versions of torch.save write it (.pt, .pth). {TorchWeights}.";

    /// <summary>The error for a file that does not begin like a safetensors file.</summary>
    /// <param name="first">The first eight bytes.</param>
    /// <param name="fault">What is wrong with them, as a sentence.</param>
    public static InvalidDataException Error(ReadOnlySpan<byte> first, string fault) => new(
        Describe(first) is { } other
            ? $"This is not a safetensors file. {other}"
            : $"This is not a safetensors file, or it is damaged. {fault}");

    /// <summary>The error for a safetensors file of another kind than one that is read.</summary>
    /// <param name="wanted">The kind that is read.</param>
    /// <param name="actual">The kind that the file states; null if it states none.</param>
    public static InvalidDataException Error(string wanted, string? actual) => new(
        $"This is not {Described(wanted)}, but {Described(actual ?? FileKind.Weights)}. "
        + (actual switch
        {
            null or FileKind.Weights => "LoadSafetensors reads it.",
            FileKind.State => "BatchNormalizationState.Load reads it.",
            FileKind.Network => "Network.Load reads it.",
            FileKind.Checkpoint => "TrainingCheckpoint.Load reads it.",
            FileKind.Partial => "PartialStatistics.Load reads it.",
            _ => "It is part of an ML.NET model, or of a later version of this library.",
        }));

    static string Described(string kind) => kind switch
    {
        FileKind.Weights => "a safetensors file of weights",
        FileKind.State => "a state of a batch normalization",
        FileKind.Network => "a network with its state",
        FileKind.Checkpoint => "a checkpoint of a training",
        FileKind.Partial => "the statistics of a shard",
        _ => $"a file of the kind {SafetensorsEntry.Quote(kind)}",
    };

    static string? Describe(ReadOnlySpan<byte> first)
    {
        foreach ((string start, string what) in known)
        {
            if (StartsWith(first, start))
                return $"It is {what}";
        }
        return IsOnnx(first)
            ? "It is an ONNX model. OnnxImport.Load of Microsoft.ML.BatchNorm.Import reads it as a network. In Python, write "
                + "its weights alone with safetensors.numpy.save_file({t.name: onnx.numpy_helper.to_array(t) for t in "
                + "onnx.load(model).graph.initializer}, path)."
            : null;
    }

    static bool StartsWith(ReadOnlySpan<byte> first, string start)
    {
        for (int i = 0; i < start.Length; i++)
        {
            if (first[i] != start[i])
                return false;
        }
        return true;
    }

    /// <summary>Whether the bytes are the format version of an ONNX model, and then another of its fields.</summary>
    static bool IsOnnx(ReadOnlySpan<byte> first) =>
        first[0] == 0x08 && first[1] is >= 3 and < 32
        && first[2] is 0x12 or 0x1A or 0x22 or 0x28 or 0x32 or 0x3A or 0x42;
}
