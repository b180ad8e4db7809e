using System.Text;
using Microsoft.ML.BatchNorm.Persistence;

namespace Microsoft.ML.BatchNorm;

public sealed partial class BatchNormalizationState
{
    // A prefix this long stays, ten times and with every character escaped, below the limit of the header.
    const int MaxPrefix = 1_000_000;

    /// <summary>
    /// Writes the state, with its layer's options, as a safetensors file, which Python's frameworks read.
    /// </summary>
    /// <param name="stream">Written from where it stands, neither flushed nor closed.</param>
    /// <param name="options">
    /// The layer's options, which the state fits. What they leave unsaid is written as Keras's, as it is computed with.
    /// </param>
    /// <param name="prefix">What each tensor's name begins with, exactly as given: <c>"bn1."</c>, for example.</param>
    /// <param name="naming">Whose names the tensors get.</param>
    /// <remarks>
    /// <para>
    /// γ and β are F32 and statistics F64, both of shape [channels]; <c>num_batches_tracked</c> is I64 of shape [].
    /// PyTorch's <c>load_state_dict</c> converts to the type of the module. The population is metadata, which no other
    /// program minds. What else the names have no tensor for is not written: <see cref="InitialWeight"/>, and with
    /// Keras's names <see cref="BatchesSeen"/>. <see cref="Save"/> keeps all.
    /// </para>
    /// <para>
    /// The metadata has in <c>batchnorm.options</c> the options as JSON, by the prefix; <c>batchnorm.writer</c>; and in
    /// <c>batchnorm.crc32c</c> the CRC-32C of the whole file with these eight hexadecimal digits as zeros: loading
    /// notices any damage. A program that changes the file has to remove the last two.
    /// </para>
    /// <para>Source of the format: https://github.com/huggingface/safetensors.</para>
    /// </remarks>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The naming is not defined.</exception>
    /// <exception cref="ArgumentException">
    /// The state does not fit the options; it has renormalization, for which PyTorch has no names; or the prefix has
    /// half a surrogate pair or more than a million characters.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// A value is not finite or out of range, as after a training that diverged; nothing was written.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public void SaveSafetensors(
        Stream stream, BatchNormalizationOptions options, string prefix = "",
        TensorNaming naming = TensorNaming.PyTorch)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(prefix);
        Check.Defined(naming, nameof(naming));
        if (prefix.Length > MaxPrefix)
            throw new ArgumentException(
                $"The prefix has {prefix.Length} characters, over {MaxPrefix}.", nameof(prefix));
        if (Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(prefix)) != prefix)
            throw new ArgumentException("The prefix has half a surrogate pair.", nameof(prefix));
        if (Renorm is not null && naming == TensorNaming.PyTorch)
            throw new ArgumentException(
                "The state has renormalization, for which PyTorch has no names; Keras has.", nameof(naming));
        CheckSavable(options);
        StateNames names = StateNames.Of(naming).Under(prefix);
        SafetensorsWriter.Write(
            stream, StateTensors.Of(this, names), new() { [prefix] = options },
            population is null ? [] : [KeyValuePair.Create(names.Population, population)]);
    }

    /// <summary>
    /// Reads a batch normalization layer, options and state, out of a safetensors file of that layer or a network.
    /// </summary>
    /// <param name="stream">Read to its end, which must be the file's. It need not be able to seek.</param>
    /// <param name="prefix">What the names of the layer's tensors begin with: <c>"bn1."</c>, for example.</param>
    /// <remarks>
    /// Names are PyTorch's or Keras's (<see cref="TensorNaming"/>), whichever are there. A file that this library wrote
    /// states the options; with another, the names imply whose they are. Mean and variance must be;
    /// γ, β, <c>num_batches_tracked</c> and renormalization may be. F64, F32, F16 and BF16 are read, γ and β rounded to
    /// float; any type of number for the number of batches; names of Keras 2 that end in <c>:0</c> without that.
    /// <see cref="InitialWeight"/> is 0. Other tensors are checked to lie in order, and not kept. Memory grows with the
    /// bytes that are there, not with lengths claimed. A file that this library wrote has a checksum, and the
    /// population where there was one; another's has neither, and changed values go unnoticed.
    /// </remarks>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="InvalidDataException">
    /// The file is no safetensors file, is truncated or damaged, has no such layer, or a value is not finite or out of
    /// range; the message says which.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public static SavedBatchNormalization LoadSafetensors(Stream stream, string prefix = "")
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(prefix);
        return SafetensorsReader.Read(stream, prefix);
    }
}
