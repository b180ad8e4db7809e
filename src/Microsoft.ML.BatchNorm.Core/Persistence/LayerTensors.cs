using System.Text;

namespace Microsoft.ML.BatchNorm;

/// <summary>The tensors of one layer in a file: their names, their shapes, and the order of their values.</summary>
sealed class LayerTensors
{
    const int MaxPrefix = 1_000_000;

    static readonly string[] ofStatistics =
    [
        BatchNormalizationTensors.Mean, BatchNormalizationTensors.Variance, BatchNormalizationTensors.Batches,
        .. BatchNormalizationTensors.Population,
    ];

    readonly bool isOwn, beginsRenorm;
    readonly Func<LayerState>? fresh;

    /// <param name="specs">The tensors that the layer has.</param>
    /// <param name="prefix">What the names of the tensors begin with.</param>
    /// <param name="names">The names and layouts of the tensors.</param>
    /// <param name="path">The path of the layer in its network.</param>
    /// <param name="image">The shape of the image, if the layer's input is a flattened image; else null.</param>
    /// <param name="fresh">
    /// Gives the layer's initial state, for values that the file does not have; null if the file has all.
    /// </param>
    public LayerTensors(
        IEnumerable<TensorSpec> specs, string prefix, TensorNames names, string path = "", TensorShape? image = null,
        Func<LayerState>? fresh = null)
    {
        (Path, Prefix, this.fresh, isOwn) = (path, prefix, fresh, names == TensorNames.Own);
        TensorSpec[] all = [.. specs];
        bool hasKernel = all.Any(spec => spec.Role == TensorRole.Kernel);
        bool tracks = all.Any(spec => spec.Role == TensorRole.Statistic);
        beginsRenorm = names[BatchNormalizationTensors.Renorm[0]] is null
            && all.Any(spec => spec.Name == BatchNormalizationTensors.Renorm[0] && !spec.IsOptional);
        Tensors = [.. all.Where(IsStored).Select(spec => new FileTensor(
            spec, prefix + (names[spec.Name] ?? spec.Name),
            names == TensorNames.Keras ? KerasLayout.Of(spec, hasKernel, image) : null,
            IsScalar: names == TensorNames.PyTorch && spec.Type == TensorType.I64,
            IsInDefinition: names[spec.Name] is null))];

        // With Keras's or PyTorch's names, a file has the tensors that have a name; its definition has the population.
        bool IsStored(TensorSpec spec)
        {
            if (isOwn)
                return true;
            bool isStatistic = Array.IndexOf(ofStatistics, spec.Name) >= 0;
            return isStatistic
                ? tracks && (names[spec.Name] is not null || spec.Name != BatchNormalizationTensors.Batches)
                : names[spec.Name] is not null && !spec.IsOptional;
        }
    }

    /// <summary>The path of the layer in its network.</summary>
    public string Path { get; }

    /// <summary>What the names of the layer's tensors begin with.</summary>
    public string Prefix { get; }

    /// <summary>
    /// What the names of the layer's tensors begin with in a file in which they may have been renamed.
    /// </summary>
    public string PrefixIn(SafetensorsHeader file)
    {
        foreach (FileTensor tensor in Tensors)
        {
            ReadOnlySpan<char> end = tensor.Name.AsSpan(Prefix.Length);
            if (file[tensor.Name] is { NameInFile: { } name } && name.EndsWith(end, StringComparison.Ordinal))
                return name[..^end.Length];
        }
        return Prefix;
    }

    /// <summary>All tensors that the layer can have in a file.</summary>
    public IReadOnlyList<FileTensor> Tensors { get; }

    /// <exception cref="ArgumentException">The prefix is too long, or has half a surrogate pair.</exception>
    public static string CheckedPrefix(string prefix, string ofWhat)
    {
        // Ten names with a prefix of this length stay below the limit of the header, with every character escaped.
        if (prefix.Length > MaxPrefix)
            throw new ArgumentException(
                $"The prefix{ofWhat} has {prefix.Length} characters, over {MaxPrefix}.", nameof(prefix));
        return Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(prefix)) == prefix
            ? prefix
            : throw new ArgumentException($"The prefix{ofWhat} has half a surrogate pair.", nameof(prefix));
    }

    /// <summary>The tensors that a file has for a state of the layer.</summary>
    public IEnumerable<SafetensorsTensor> Write(LayerState state) =>
        Values(state, isInDefinition: false).Select(tensor => new SafetensorsTensor(
            tensor.Tensor.Name, tensor.Tensor.Shape ?? SafetensorsShape.Of(tensor.Values.Length), tensor.Values));

    /// <summary>The population of a state, as a definition has it; null if there is none.</summary>
    public double[][]? Population(LayerState state)
    {
        double[][] population = [.. Values(state, isInDefinition: true).Select(tensor => (double[])tensor.Values)];
        return population.Length == 0 ? null : population;
    }

    /// <summary>Adds the population from a definition to the values of a file.</summary>
    /// <exception cref="InvalidDataException">It is not a population with the layer's number of channels.</exception>
    public void AddPopulation(double[][]? population, SafetensorsValues values)
    {
        FileTensor[] tensors = [.. Tensors.Where(tensor => tensor.IsInDefinition)];
        if (population is null || tensors.Length == 0)
            return;
        int channels = tensors[0].Spec.Shape!.Size;
        if (population.Length != tensors.Length
            || !Array.TrueForAll(population, array => array is not null && array.Length == channels))
            throw new InvalidDataException(
                $"The population of {SafetensorsEntry.Quote(Prefix)} is not {tensors.Length} numbers for each of "
                + $"{channels} channels.");
        for (int i = 0; i < tensors.Length; i++)
            values.Add(tensors[i].Name, population[i]);
    }

    /// <summary>The layer's state; null if the file has no tensor of the layer and the layer needs none.</summary>
    /// <exception cref="InvalidDataException">A value is out of range.</exception>
    public LayerState? Read(SafetensorsValues values)
    {
        var tensors = Tensors.Where(tensor => values.Has(tensor.Name))
            .ToDictionary(tensor => tensor.Spec.Name, tensor => tensor.FromFile(values), StringComparer.Ordinal);
        if (tensors.Count == 0 && Tensors.All(tensor => !tensor.IsRequired))
            return null;
        CheckWhole(tensors, BatchNormalizationTensors.Renorm);
        CheckWhole(tensors, BatchNormalizationTensors.Population);
        CheckWhole(tensors, BatchNormalizationTensors.Histograms);
        if (!isOwn && Tensors.All(tensor => tensor.Spec.Role != TensorRole.Statistic))
        {
            // A layer that tracks no statistics keeps its initial ones.
            foreach ((string name, Array begun) in fresh?.Invoke().Tensors ?? [])
                tensors.TryAdd(name, begun);
        }
        var state = LayerState.OfTensors(tensors);
        string? fault = state.BatchNormalization is { } normalization
            ? BatchNormalizationTensors.FaultOf(normalization, NameOf)
            : Tensors.Where(tensor => tensor.Spec.Type == TensorType.F32 && values.Has(tensor.Name))
                .Select(tensor => LayerState.Fault<float>(values.Floats(tensor.Name), tensor.Name))
                .FirstOrDefault(fault => fault is not null);
        if (fault is not null)
            throw new InvalidDataException(fault);
        if (isOwn || state.BatchNormalization is not { } read)
            return state;
        return new LayerState(beginsRenorm ? read.WithRenormAtMovingStatistics() : read);
    }

    IEnumerable<(FileTensor Tensor, Array Values)> Values(LayerState state, bool isInDefinition)
    {
        var values = state.Tensors.ToDictionary(tensor => tensor.Key, tensor => tensor.Value, StringComparer.Ordinal);
        return Tensors.Where(tensor => tensor.IsInDefinition == isInDefinition && values.ContainsKey(tensor.Spec.Name))
            .Select(tensor => (tensor, tensor.ToFile(values[tensor.Spec.Name])));
    }

    /// <exception cref="InvalidDataException">Some of the tensors are there, and some are missing.</exception>
    void CheckWhole(Dictionary<string, Array> tensors, IReadOnlyList<string> names)
    {
        string[] missing = [.. names.Where(name => !tensors.ContainsKey(name)).Select(NameOf)];
        if (missing.Length > 0 && missing.Length < names.Count)
            throw new InvalidDataException(
                "The file has part of what belongs together: "
                + $"{string.Join(" and ", missing.Select(SafetensorsEntry.Quote))}"
                + $" {(missing.Length == 1 ? "is" : "are")} missing.");
    }

    /// <summary>The name of a tensor in the file, for messages.</summary>
    string NameOf(string tensor) => Tensors.FirstOrDefault(known => known.Spec.Name == tensor)?.Name ?? tensor;
}

/// <summary>A tensor of a layer, and how a file has it.</summary>
/// <param name="Spec">The tensor of the layer.</param>
/// <param name="Name">The name in the file.</param>
/// <param name="Layout">The order of the values in the file; null if it is that of the state.</param>
/// <param name="IsScalar">Whether the tensor is a scalar in the file, of shape [].</param>
/// <param name="IsInDefinition">Whether the file has the values in its definition and not as a tensor.</param>
sealed record FileTensor(
    TensorSpec Spec, string Name, KerasLayout? Layout = null, bool IsScalar = false, bool IsInDefinition = false)
{
    /// <summary>Whether the file must have it.</summary>
    public bool IsRequired => !Spec.IsOptional;

    /// <summary>The shape in the file; null for one dimension of any size.</summary>
    public SafetensorsShape? Shape => (Layout, Spec.Shape) switch
    {
        (_, null) => null,
        _ when IsScalar => SafetensorsShape.Scalar,
        ({ }, { Rank: 4 } shape) => SafetensorsShape.Of(shape[2], shape[3], shape[1], shape[0]),
        ({ }, { Rank: 2 } shape) => SafetensorsShape.Of(shape[1], shape[0]),
        (_, { } shape) => SafetensorsShape.Of(shape.Dimensions),
    };

    /// <summary>Describes how the file's tensor does not fit; null if it fits.</summary>
    public string? Fault(in SafetensorsEntry entry)
    {
        string name = SafetensorsEntry.Quote(Name);
        bool fits = Shape is { } shape
            ? entry.Shape == shape || IsScalar && entry.Shape == SafetensorsShape.Of(1)
            : entry.Shape.Rank == 1 && entry.Shape.First <= Array.MaxLength
                && (entry.Shape.First > 0 || Spec.Type != TensorType.U8);
        if (!fits)
            return $"{name} has shape {entry.Shape} instead of {(Shape is null ? "one dimension" : Shape)}";
        string? fault = Spec.Type switch
        {
            TensorType.I64 => entry.IsNumber ? null : ", which is no number",
            TensorType.U8 => entry.Dtype == "U8" ? null : " instead of U8",
            _ => entry.IsFloat ? null : " instead of F64, F32, F16 or BF16",
        };
        return fault is null ? null : $"{name} has dtype {SafetensorsEntry.Quote(entry.Dtype)}{fault}";
    }

    public Array FromFile(SafetensorsValues values) => Spec.Type switch
    {
        TensorType.I64 => new[] { values.Count(Name) },
        TensorType.U8 => values.Bytes(Name),
        TensorType.F64 => Layout?.FromKeras<double>(values.Doubles(Name)) ?? values.Doubles(Name),
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
/// Converts between the order of values here, <c>[outputs, channels, height, width]</c>, and in Keras,
/// <c>[height, width, channels, outputs]</c>. It serves the kernel of a convolution; of a dense layer after a flattened
/// image, whose features Keras orders channels last; and, with height and width 1, of any dense layer. With one output,
/// it serves a batch normalization of a flattened image.
/// </summary>
readonly record struct KerasLayout(int Outputs, int Channels, int Height, int Width)
{
    /// <summary>The conversion of a layer's tensor; null if the order is the same.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="hasKernel">
    /// Whether the layer has a kernel, so that its other tensors have one value per output.
    /// </param>
    /// <param name="image">The shape of the image, if the layer's input is a flattened image; else null.</param>
    public static KerasLayout? Of(TensorSpec tensor, bool hasKernel, TensorShape? image)
    {
        TensorShape shape = tensor.Shape!;
        if (tensor.Role == TensorRole.Kernel)
            return shape.Rank == 4 ? new(shape[0], shape[1], shape[2], shape[3])
                : image is null ? new(shape[0], shape[1], 1, 1)
                : new(shape[0], image[0], image[1], image[2]);
        return image is null || hasKernel || shape.Size != image.Size ? null : new(1, image[0], image[1], image[2]);
    }

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
