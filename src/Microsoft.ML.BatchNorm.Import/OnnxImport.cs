namespace Microsoft.ML.BatchNorm.Import;

/// <summary>Reads pretrained networks from ONNX files, as networks that train.</summary>
public static class OnnxImport
{
    const int Piece = 1 << 16;

    /// <summary>Reads a network and its parameters from an ONNX file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="inputShape">
    /// The shape of an input row, without the batch, where the file leaves it open: <c>new(3, 224, 224)</c> for images,
    /// or <c>new(224, 224, 3)</c> if the file has their channels last. Height and width of images may also differ from
    /// the file's, which suits networks whose windows slide over any image. Null takes the shape of the file.
    /// </param>
    /// <param name="until">
    /// The name of a value in the file that becomes the network's output, such as the features before a head. Null
    /// takes the output of the graph.
    /// </param>
    /// <param name="note">
    /// Is called with one sentence for each way in which the network differs from the file: a softmax at the end is
    /// left out, rows of images with channels last are taken with channels first.
    /// </param>
    /// <returns>
    /// The network and its state. No layer is frozen, except for those that are made of constants. The outputs differ
    /// from ONNX Runtime's by about 1e-6 of the greatest output.
    /// </returns>
    /// <example>
    /// <code>
    /// SavedNetwork pretrained = OnnxImport.Load("resnet.onnx");
    /// Network network = pretrained.Network.WithHead(5).Freeze("layer1*");
    /// NetworkState state = network.Initialize(pretrained.State, seed: 1);
    /// </code>
    /// </example>
    /// <remarks>
    /// <para>
    /// A layer's path is what the names of its tensors have in common: PyTorch's <c>layer1.0.conv1.weight</c> is the
    /// kernel of <c>layer1.0.conv1</c>. A layer without tensors has the name of its node, or its operator and a number:
    /// <c>Relu_3</c>. Characters that a path cannot have become <c>_</c>.
    /// </para>
    /// <para>
    /// Of a batch normalization the file has γ, β, statistics, ε and momentum. The network's preset is that of the
    /// framework whose exporter wrote the file, if it is known; with PyTorch's, statistics follow the sample variance.
    /// A dropout that the file has drops again in training.
    /// </para>
    /// <para>
    /// Constants that scale a value or are added to it, such as the mean and deviation of the images, become a frozen
    /// batch normalization with an ε of 0, which computes <c>(x − mean)·scale + shift</c> with these numbers. What is
    /// added before a batch normalization becomes part of its mean, and what is added after a layer with a kernel and
    /// without a bias becomes its bias. A zero bias of a Gemm is left out. A convolution of size 1 on the means of an
    /// image becomes a dense layer.
    /// </para>
    /// A batch that the file fixes becomes free. The versions 7 to 26 of the standard operators are read. The file is
    /// read whole; memory for parameters grows with what it has, not with what it claims.
    /// </remarks>
    /// <exception cref="ArgumentException">
    /// The file leaves the input's shape open and <paramref name="inputShape"/> is null; or it has another one, which
    /// differs in more than the size of images or makes no network; or no node computes <paramref name="until"/>.
    /// </exception>
    /// <exception cref="InvalidDataException">
    /// The file is no ONNX file, or is truncated, damaged, or of more than 2 GB; or it keeps its parameters in another
    /// file.
    /// </exception>
    /// <exception cref="NotSupportedException">
    /// The output depends on nodes that have no equivalent in a network. The message lists, by operator and name, every
    /// operator that is not known and the first unsupported form on each path. Or the file has several inputs or
    /// outputs, or another version of the operators.
    /// </exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static SavedNetwork Load(
        string path, TensorShape? inputShape = null, string? until = null, Action<string>? note = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
        return Load(stream, inputShape, until, note);
    }

    /// <summary>Reads a network and its parameters from a stream with an ONNX file.</summary>
    /// <inheritdoc cref="Load(string, TensorShape?, string?, Action{string}?)"/>
    /// <param name="stream">
    /// Read from its current position to its end, and not closed. It need not be able to seek.
    /// </param>
    /// <param name="inputShape">
    /// The shape of an input row, without the batch, where the file leaves it open: <c>new(3, 224, 224)</c> for images,
    /// or <c>new(224, 224, 3)</c> if the file has their channels last. Height and width of images may also differ from
    /// the file's, which suits networks whose windows slide over any image. Null takes the shape of the file.
    /// </param>
    /// <param name="until">
    /// The name of a value in the file that becomes the network's output, such as the features before a head. Null
    /// takes the output of the graph.
    /// </param>
    /// <param name="note">
    /// Is called with one sentence for each way in which the network differs from the file: a softmax at the end is
    /// left out, rows of images with channels last are taken with channels first.
    /// </param>
    public static SavedNetwork Load(
        Stream stream, TensorShape? inputShape = null, string? until = null, Action<string>? note = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        byte[] bytes = ReadAll(stream);
        return GraphImport.Run(OnnxReader.Read(bytes), bytes.Length, inputShape, until, note);
    }

    static byte[] ReadAll(Stream stream)
    {
        if (stream.CanSeek)
        {
            long length = Math.Max(stream.Length - stream.Position, 0);
            byte[] bytes = length <= Array.MaxLength ? new byte[length] : throw TooLarge();
            stream.ReadExactly(bytes);
            return bytes;
        }
        var all = new MemoryStream();
        byte[] piece = new byte[Piece];
        while (stream.Read(piece) is > 0 and var read)
        {
            if (all.Length + read > Array.MaxLength)
                throw TooLarge();
            all.Write(piece, 0, read);
        }
        return all.ToArray();

        static InvalidDataException TooLarge() =>
            new("The file has more than 2 GB, which is more than an ONNX file can have.");
    }
}
