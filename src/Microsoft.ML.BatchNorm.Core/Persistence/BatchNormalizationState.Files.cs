namespace Microsoft.ML.BatchNorm;

public sealed partial class BatchNormalizationState
{
    /// <summary>Writes every bit of the state, with its layer's options, as a safetensors file.</summary>
    /// <param name="stream">
    /// Written from its current position, neither flushed nor closed. Several states may follow one another, and other
    /// data may surround them.
    /// </param>
    /// <param name="options">
    /// The layer's options, which the state must fit. For options that are null, Keras's values are written, since the
    /// layer computes with these.
    /// </param>
    /// <remarks>
    /// <para>
    /// The tensors are <c>moving_mean</c>, <c>moving_variance</c> and what else the state has; γ and β are F32,
    /// statistics F64. The metadata has the options as JSON, and a checksum by which loading detects any damage.
    /// <c>docs/internals/files.md</c> describes the format. <see cref="SaveSafetensors"/> writes the names that Keras and
    /// PyTorch know.
    /// </para>
    /// <para>Every later version of this library can read the file.</para>
    /// </remarks>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">The state does not fit the options.</exception>
    /// <exception cref="InvalidOperationException">
    /// A value is not finite or out of range, as after training that diverged, so that the state could not be loaded
    /// again. Nothing was written.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public void Save(Stream stream, BatchNormalizationOptions options)
    {
        ArgumentNullException.ThrowIfNull(stream);
        CheckSavable(options);
        SafetensorsWriter.Write(
            stream, FileKind.State, Definition.ToText(options.Or(BatchNormalizationOptions.Keras)),
            new LayerTensors(BatchNormalizationTensors.Specs(options, Channels), "", TensorNames.Own)
                .Write(new LayerState(this)));
    }

    /// <summary>Reads what <see cref="Save"/> wrote: options and state, equal to the saved ones bit for bit.</summary>
    /// <param name="stream">Read to the state's last byte and not further. It need not be able to seek.</param>
    /// <remarks>
    /// Truncation and damage are detected. Memory grows with the bytes that arrive, not with the lengths that the file
    /// claims.
    /// </remarks>
    /// <exception cref="ArgumentNullException">The stream is null.</exception>
    /// <exception cref="InvalidDataException">
    /// The stream holds no state here, or it is truncated, damaged, of an unknown version, or has a value out of
    /// range; the message says which.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public static SavedBatchNormalization Load(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var file = new SafetensorsReader(stream);
        var options = Definition.Parse<BatchNormalizationOptions>(file.DefinitionOf(FileKind.State));
        var expected = new ExpectedTensors("state");
        int channels = LayerSearch.Channels(file.Header, BatchNormalizationTensors.Mean);
        LayerTensors layer = expected.Add(new LayerTensors(
            BatchNormalizationTensors.Specs(options, channels), "", TensorNames.Own));
        expected.Match(file.Header);
        SafetensorsValues values = file.Read(expected.Needs, toEnd: false);
        return Fitting(options, layer.Read(values)!.BatchNormalization!);
    }

    /// <summary>
    /// Writes the state, with its layer's options, as a safetensors file with the names of Keras or PyTorch, which
    /// Python's frameworks read.
    /// </summary>
    /// <param name="stream">Written from its current position, neither flushed nor closed.</param>
    /// <param name="options">
    /// The layer's options, which the state must fit. For options that are null, Keras's values are written, since the
    /// layer computes with these.
    /// </param>
    /// <param name="prefix">What each tensor's name begins with, exactly as given: <c>"bn1."</c>, for example.</param>
    /// <param name="naming">The framework whose names the tensors get.</param>
    /// <remarks>
    /// <para>
    /// γ and β are F32 and statistics F64, both of shape [channels]; <c>num_batches_tracked</c> is I64 of shape [].
    /// PyTorch's <c>load_state_dict</c> converts to the type of the module. The options and the population are in the
    /// metadata, which other programs ignore. Values for which the framework has no name are not written:
    /// <see cref="InitialWeight"/>, the histograms, and with Keras's names <see cref="BatchesSeen"/>.
    /// <see cref="Save"/> keeps everything.
    /// </para>
    /// <para>
    /// In the metadata, <c>batchnorm.crc32c</c> is the CRC-32C of the whole file, computed with zeros as its own eight
    /// hexadecimal digits, so that loading detects any damage. A program that changes the file must remove this entry
    /// and <c>batchnorm.version</c>. <c>docs/internals/files.md</c> describes the format; its source is
    /// https://github.com/huggingface/safetensors.
    /// </para>
    /// </remarks>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The naming is not defined.</exception>
    /// <exception cref="ArgumentException">
    /// The state does not fit the options; it has renormalization, for which PyTorch has no names; or the prefix has
    /// half a surrogate pair or more than a million characters.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// A value is not finite or out of range, as after training that diverged. Nothing was written.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public void SaveSafetensors(
        Stream stream, BatchNormalizationOptions options, string prefix = "",
        TensorNaming naming = TensorNaming.PyTorch)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(prefix);
        Check.Defined(naming, nameof(naming));
        LayerTensors.CheckedPrefix(prefix, "");
        if (Renorm is not null && naming == TensorNaming.PyTorch)
            throw new ArgumentException(
                "The state has renormalization, for which PyTorch has no names; Keras has.", nameof(naming));
        CheckSavable(options);
        BatchNormalizationOptions written =
            LayerSearch.WithTensors(options, !Gamma.IsEmpty, !Beta.IsEmpty, Renorm is not null);
        var layer = new LayerTensors(
            BatchNormalizationTensors.Specs(written, Channels), prefix, TensorNames.Of(naming));
        var state = new LayerState(this);
        var definition = new WeightsDefinition(
            Preset: null, new() { [prefix] = options.Or(BatchNormalizationOptions.Keras) }, Slopes: [],
            layer.Population(state) is { } known ? new() { [prefix] = known } : []);
        SafetensorsWriter.Write(stream, FileKind.Weights, Definition.ToText(definition), layer.Write(state));
    }

    /// <summary>
    /// Reads the options and the state of a batch normalization layer from a safetensors file of that layer or of a
    /// network.
    /// </summary>
    /// <param name="stream">Read to its end, where the file must end too. It need not be able to seek.</param>
    /// <param name="prefix">What the names of the layer's tensors begin with: <c>"bn1."</c>, for example.</param>
    /// <remarks>
    /// The names may be PyTorch's or Keras's (<see cref="TensorNaming"/>). A file that this library wrote states the
    /// options; in another file, the names imply whose defaults they are. Moving mean and variance must be there; γ, β,
    /// <c>num_batches_tracked</c> and renormalization are optional. Values may be F64, F32, F16 or BF16, and γ and β
    /// are rounded to float; the number of batches may have any type of number. A <c>:0</c> at the end of names, as in
    /// Keras 2, is ignored. <see cref="InitialWeight"/> is 0. Other tensors are checked to lie in order, and are not
    /// kept. Memory grows with the bytes that arrive, not with the lengths that the file claims. A file that this
    /// library wrote has a checksum, and the population if there was one; another file has neither, and changed values
    /// in it are not detected.
    /// </remarks>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="InvalidDataException">
    /// The file is not a safetensors file, is truncated or damaged, has no such layer, or has a value that is not
    /// finite or out of range; the message says which.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public static SavedBatchNormalization LoadSafetensors(Stream stream, string prefix = "")
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(prefix);
        var file = new SafetensorsReader(stream);
        WeightsDefinition? stated = WeightsDefinition.Of(file);
        (TensorNames names, BatchNormalizationOptions implied, int channels) = LayerSearch.Find(file.Header, prefix);
        var expected = new ExpectedTensors("layer");
        LayerTensors layer = expected.Add(
            new LayerTensors(BatchNormalizationTensors.Specs(implied, channels), prefix, names));
        expected.Match(file.Header, unexpected: UnexpectedTensors.Ignore);
        SafetensorsValues values = file.Read(expected.Needs, toEnd: true);
        layer.AddPopulation(stated?.Populations.GetValueOrDefault(prefix), values);
        return Fitting(
            stated?.Options.GetValueOrDefault(prefix)?.Or(implied) ?? implied,
            layer.Read(values)!.BatchNormalization!);
    }

    /// <exception cref="InvalidDataException">
    /// The state does not fit the options, or these contradict each other.
    /// </exception>
    internal static SavedBatchNormalization Fitting(BatchNormalizationOptions options, BatchNormalizationState state)
    {
        try
        {
            BatchNormalization.CheckState(options, state);
            return new SavedBatchNormalization(options, state);
        }
        catch (ArgumentException error)
        {
            throw new InvalidDataException($"The options are wrong: {Check.Text(error)}", error);
        }
    }

    void CheckSavable(BatchNormalizationOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        BatchNormalization.CheckState(options, this);
        if (BatchNormalizationTensors.FaultOf(this, name => name) is { } fault)
            throw new InvalidOperationException($"The state cannot be saved: {fault}");
    }
}
