using System.Text;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>The tensors of one layer in a file: their names, their shapes, and the order of their values.</summary>
sealed class LayerTensors
{
    const int MaxPrefix = 1_000_000;

    readonly BatchNormalizationOptions? options;
    readonly int channels;

    LayerTensors(
        string path, string prefix, BatchNormalizationOptions? options, int channels, IEnumerable<FileTensor> tensors)
    {
        (Path, Prefix, this.options, this.channels) = (path, prefix, options, channels);
        Tensors = [.. tensors];
    }

    /// <summary>The path of the layer in its network.</summary>
    public string Path { get; }

    /// <summary>What the names of the layer's tensors begin with.</summary>
    public string Prefix { get; }

    /// <summary>The options of a batch normalization, or null.</summary>
    public BatchNormalizationOptions? Options => options;

    /// <summary>All that the layer can have in a file.</summary>
    public IReadOnlyList<FileTensor> Tensors { get; }

    /// <summary>The tensors of a layer in a network.</summary>
    /// <param name="node">The layer.</param>
    /// <param name="prefix">What the names of its tensors begin with.</param>
    /// <param name="names">Whose names and layouts they have.</param>
    /// <param name="image">The shape of the image that the layer's input is, flattened; null where it is none.</param>
    public static LayerTensors Of(NetworkNode node, string prefix, TensorNames names, TensorShape? image = null)
    {
        if (node.Layer is BatchNormalizationLayer normalization)
            return Of(
                normalization.Options, normalization.Channels(node.Input), prefix, names, node.Path,
                names == TensorNames.Keras && image is not null ? new(1, image[0], image[1], image[2]) : null);
        return new(node.Path, prefix, null, 0, LayerTensor.Of(node).Select(tensor => new FileTensor(
            tensor, prefix + names[tensor.Name],
            names == TensorNames.Keras && tensor.Name == LayerTensor.Kernel ? KernelLayout(node, image) : null,
            tensor.IsRequired)));
    }

    /// <summary>The tensors of a batch normalization.</summary>
    public static LayerTensors Of(
        BatchNormalizationOptions options, int channels, string prefix, TensorNames names, string path = "",
        KerasLayout? layout = null) =>
        new(path, prefix, options, channels, LayerTensor.Of(options, channels)
            .Where(tensor => IsStored(tensor, options, names))
            .Select(tensor => new FileTensor(
                tensor, prefix + (names[tensor.Name] ?? tensor.Name),
                tensor.Shape.Length == 1 ? layout : null,
                IsRequired: tensor.IsRequired
                    && (names == TensorNames.Own || tensor.Element != ElementType.Count),
                IsInDefinition: names[tensor.Name] is null)));

    /// <exception cref="ArgumentException">No file can have names that begin so.</exception>
    public static string CheckedPrefix(string prefix, string ofWhat)
    {
        // A prefix this long stays, ten times and with every character escaped, below the limit of the header.
        if (prefix.Length > MaxPrefix)
            throw new ArgumentException(
                $"The prefix{ofWhat} has {prefix.Length} characters, over {MaxPrefix}.", nameof(prefix));
        return Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(prefix)) == prefix
            ? prefix
            : throw new ArgumentException($"The prefix{ofWhat} has half a surrogate pair.", nameof(prefix));
    }

    /// <summary>The tensors of the layer's state that a file has.</summary>
    public IEnumerable<SafetensorsTensor> Write(LayerState state)
    {
        Dictionary<string, Array> values = LayerTensor.ValuesOf(state);
        return Tensors.Where(tensor => !tensor.IsInDefinition && values.ContainsKey(tensor.Tensor.Name))
            .Select(tensor => new SafetensorsTensor(
                tensor.Name, tensor.Shape ?? SafetensorsShape.Of(values[tensor.Tensor.Name].Length),
                tensor.ToFile(values[tensor.Tensor.Name])));
    }

    /// <summary>The state's population as a definition has it, or null where there is none.</summary>
    public double[][]? Population(LayerState state)
    {
        Dictionary<string, Array> values = LayerTensor.ValuesOf(state);
        double[][] population = [.. Tensors
            .Where(tensor => tensor.IsInDefinition && values.ContainsKey(tensor.Tensor.Name))
            .Select(tensor => (double[])tensor.ToFile(values[tensor.Tensor.Name]))];
        return population.Length == 0 ? null : population;
    }

    /// <summary>Adds a population that a definition has to the values of a file.</summary>
    /// <exception cref="InvalidDataException">It is no population of as many channels.</exception>
    public void AddPopulation(double[][]? population, SafetensorsValues values)
    {
        FileTensor[] tensors = [.. Tensors.Where(tensor => tensor.IsInDefinition)];
        if (population is null || tensors.Length == 0)
            return;
        if (population.Length != tensors.Length
            || !Array.TrueForAll(population, array => array is not null && array.Length == channels))
            throw new InvalidDataException(
                $"The population of {SafetensorsEntry.Quote(Prefix)} is not {tensors.Length} numbers for each of "
                + $"{channels} channels.");
        for (int i = 0; i < tensors.Length; i++)
            values.Add(tensors[i].Name, population[i]);
    }

    /// <summary>The layer's state, or null for a TorchScript layer that was not trained.</summary>
    /// <exception cref="InvalidDataException">A value is out of range.</exception>
    public LayerState? Read(SafetensorsValues values)
    {
        var read = Tensors.Where(tensor => values.Has(tensor.Name))
            .ToDictionary(tensor => tensor.Tensor.Name, tensor => tensor.FromFile(values));
        if (options is not null)
            return new LayerState(LayerTensor.StateOf(options, channels, read, NameOf));
        foreach (FileTensor tensor in Tensors.Where(tensor => tensor.Tensor.Element == ElementType.Float))
        {
            if (LayerState.Fault(values.Floats(tensor.Name), tensor.Name) is { } fault)
                throw new InvalidDataException(fault);
        }
        return LayerTensor.StateOf(read);
    }

    /// <summary>What a tensor is called in the file, for messages.</summary>
    string NameOf(string tensor) => Tensors.FirstOrDefault(known => known.Tensor.Name == tensor)?.Name ?? tensor;

    /// <summary>
    /// A file for others has moving statistics where the layer tracks them, and what the family has names for; its
    /// population is in the definition.
    /// </summary>
    static bool IsStored(LayerTensor tensor, BatchNormalizationOptions options, TensorNames names)
    {
        if (names == TensorNames.Own)
            return true;
        bool isPopulation = Array.IndexOf(LayerTensor.Population, tensor.Name) >= 0;
        bool isMoving = isPopulation
            || tensor.Name is LayerTensor.MovingMean or LayerTensor.MovingVariance or LayerTensor.BatchesSeen;
        return (isPopulation || names[tensor.Name] is not null) && (options.TrackMovingStatistics || !isMoving)
            && (options.Renorm is not null || Array.IndexOf(LayerTensor.Renorm, tensor.Name) < 0);
    }

    static KerasLayout KernelLayout(NetworkNode node, TensorShape? image)
    {
        if (node.Layer is Conv2DLayer conv)
            return new(conv.Filters, node.Input[0], conv.KernelSize.Height, conv.KernelSize.Width, IsConvolution: true);
        int units = node.Output[0];
        return image is null ? new(units, node.Input[0], 1, 1) : new(units, image[0], image[1], image[2]);
    }
}

/// <summary>A tensor of a layer as a file has it.</summary>
/// <param name="Tensor">The tensor here.</param>
/// <param name="Name">The name in the file.</param>
/// <param name="Layout">The order of the values in the file, or null where it is the same as here.</param>
/// <param name="IsRequired">Whether the file must have it.</param>
/// <param name="IsInDefinition">Whether its values are in the definition.</param>
sealed record FileTensor(
    LayerTensor Tensor, string Name, KerasLayout? Layout = null, bool IsRequired = true, bool IsInDefinition = false)
{
    /// <summary>The shape in the file; null where the file decides its one dimension.</summary>
    public SafetensorsShape? Shape => (Layout, Tensor.Shape) switch
    {
        (_, [LayerTensor.AnyLength]) => null,
        (null, var shape) => SafetensorsShape.Of(shape),
        ({ IsConvolution: true }, var shape) => SafetensorsShape.Of(shape[2], shape[3], shape[1], shape[0]),
        (_, [int outputs, int inputs]) => SafetensorsShape.Of(inputs, outputs),
        (_, var shape) => SafetensorsShape.Of(shape),
    };

    /// <summary>What is wrong with the file's tensor, in words, or null.</summary>
    public string? Fault(in SafetensorsEntry entry)
    {
        string name = SafetensorsEntry.Quote(Name);
        bool fits = Shape is { } shape
            ? entry.Shape == shape || Tensor.Element == ElementType.Count && entry.Shape == SafetensorsShape.Of(1)
            : entry.Shape.Rank == 1 && entry.Shape.First > 0 && entry.Shape.First <= Array.MaxLength;
        if (!fits)
            return $"{name} has shape {entry.Shape} instead of {(Shape is null ? "one dimension" : Shape)}";
        string? fault = Tensor.Element switch
        {
            ElementType.Count => entry.IsNumber ? null : ", which is no number",
            ElementType.Byte => entry.Dtype == "U8" ? null : " instead of U8",
            _ => entry.IsFloat ? null : " instead of F64, F32, F16 or BF16",
        };
        return fault is null ? null : $"{name} has dtype {SafetensorsEntry.Quote(entry.Dtype)}{fault}";
    }

    public Array FromFile(SafetensorsValues values) => Tensor.Element switch
    {
        ElementType.Count => new[] { values.Count(Name) },
        ElementType.Byte => values.Bytes(Name),
        ElementType.Double => Layout?.FromKeras<double>(values.Doubles(Name)) ?? values.Doubles(Name),
        _ => Layout?.FromKeras<float>(values.Floats(Name)) ?? values.Floats(Name),
    };

    public Array ToFile(Array values) => (Layout, values) switch
    {
        ({ } layout, double[] doubles) => layout.ToKeras<double>(doubles),
        ({ } layout, float[] floats) => layout.ToKeras<float>(floats),
        _ => values,
    };
}

/// <summary>
/// The order of a kernel's values here, <c>[outputs, channels, height, width]</c>, and in Keras,
/// <c>[height, width, channels, outputs]</c>. It is that of a convolution; of a dense layer after the flattening of an
/// image, whose features Keras counts channels last; and, with height and width 1, of any dense layer. The kernel of a
/// convolution has four dimensions in a file, that of a dense layer two.
/// </summary>
readonly record struct KerasLayout(int Outputs, int Channels, int Height, int Width, bool IsConvolution = false)
{
    public T[] ToKeras<T>(ReadOnlySpan<T> kernel)
    {
        T[] keras = new T[kernel.Length];
        int area = Height * Width, step = Channels * Outputs;
        for (int place = 0, from = 0; from < kernel.Length; place++)
        {
            int output = place / Channels, channel = place % Channels;
            for (int at = 0, to = channel * Outputs + output; at < area; at++, to += step)
                keras[to] = kernel[from++];
        }
        return keras;
    }

    public T[] FromKeras<T>(ReadOnlySpan<T> keras)
    {
        T[] kernel = new T[keras.Length];
        int area = Height * Width, step = Channels * Outputs;
        for (int place = 0, to = 0; to < kernel.Length; place++)
        {
            int output = place / Channels, channel = place % Channels;
            for (int at = 0, from = channel * Outputs + output; at < area; at++, from += step)
                kernel[to++] = keras[from];
        }
        return kernel;
    }
}
