using System.Buffers.Binary;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>Recognizes a file of another format by its first eight bytes, for the message that refuses it.</summary>
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
        ("{", "JSON, such as an index of several files. Load the .safetensors files that it names."),
        ("\u0089BNST\r\n\u001A", "a state of a batch normalization. BatchNormalizationState.Load reads it."),
        ("\u0089BNNW\r\n\u001A", "a network with its state. Network.Load reads it."),
        ("\u0089BNCP\r\n\u001A", "a checkpoint of a training. TrainingCheckpoint.Load reads it."),
    ];

    const string Pickle = $"a Python pickle, as older versions of torch.save write it (.pt, .pth). {TorchWeights}.";

    /// <summary>A sentence that says what the file is and how to read it; null for what is not known.</summary>
    /// <param name="first">The first eight bytes.</param>
    public static string? Describe(ReadOnlySpan<byte> first)
    {
        foreach ((string start, string what) in known)
        {
            if (StartsWith(first, start))
                return $"It is {what}";
        }
        return IsOnnx(first)
            ? "It is an ONNX model. In Python, write its weights with safetensors.numpy.save_file({t.name: "
                + "onnx.numpy_helper.to_array(t) for t in onnx.load(model).graph.initializer}, path)."
            : null;
    }

    /// <summary>The error for a file that does not begin as those of one of this library's own formats.</summary>
    public static InvalidDataException Error(string format, ReadOnlySpan<byte> first, ReadOnlySpan<byte> expected)
    {
        string? other = Describe(first);
        if (other is null && BinaryPrimitives.ReadUInt64LittleEndian(first) is > 1 and <= SafetensorsHeader.MaxLength)
            other = "It may be a safetensors file. LoadSafetensors reads it.";
        return new InvalidDataException(
            $"This is not a {format}: it begins with {Convert.ToHexString(first)}, not "
            + $"{Convert.ToHexString(expected)}.{(other is null ? "" : $" {other}")}");
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

    /// <summary>Whether it is the version of ONNX's format and then another of a model's fields.</summary>
    static bool IsOnnx(ReadOnlySpan<byte> first) =>
        first[0] == 0x08 && first[1] is >= 3 and < 32
        && first[2] is 0x12 or 0x1A or 0x22 or 0x28 or 0x32 or 0x3A or 0x42;
}
