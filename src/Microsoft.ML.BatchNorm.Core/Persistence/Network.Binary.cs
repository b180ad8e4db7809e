using Microsoft.ML.BatchNorm.Persistence;

namespace Microsoft.ML.BatchNorm;

public sealed partial class Network
{
    /// <summary>Writes the network and every bit of its state in this library's own format.</summary>
    /// <param name="stream">
    /// Written from where it stands, neither flushed nor closed. Networks may follow one another, or lie amid other
    /// data.
    /// </param>
    /// <param name="state">A state of this network.</param>
    /// <remarks>
    /// <para>
    /// Version 1, little-endian. Header: eight bytes 89 42 4E 4E 57 0D 0A 1A, version (uint16), flags (uint16: 1 if a
    /// TorchScript layer was trained, else 0), length of the definition in bytes (uint32). The definition: layers with
    /// their options, initializers, names and switches. The CRC-32C (RFC 3720) of all before it (uint32). The layers'
    /// states in the order of <see cref="Nodes"/>: kernel and bias (float32); of a batch normalization its flags
    /// (uint16) and its payload as <see cref="BatchNormalizationState.Save"/> has them; with flag 1, of a TorchScript
    /// layer the length (int32) and bytes of its module. Last, the CRC-32C of all before it (uint32).
    /// </para>
    /// <para>A version that this library has written can be read by every later one.</para>
    /// </remarks>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">
    /// The state is not one of this network; the message names every layer.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// A value is not finite or out of range, as after a training that diverged, or the definition is larger than
    /// 1 GiB, and could not be loaded again; nothing was written.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public void Save(Stream stream, NetworkState state)
    {
        ArgumentNullException.ThrowIfNull(stream);
        CheckSavable(state);
        byte[] definition = NetworkFormat.ToBytes(this);
        if (definition.Length > NetworkHeader.MaxDefinition)
            throw new InvalidOperationException(
                $"The network's definition has {definition.Length} bytes; {NetworkHeader.MaxDefinition} can be saved.");
        var sink = new ByteSink(stream);
        PartFlags flags = NetworkStateFormat.Flags(state);
        NetworkHeader.Write(sink, definition.Length, flags);
        sink.Write(definition);
        sink.Write(sink.Checksum.Value);
        NetworkStateFormat.Write(sink, this, state, flags);
        sink.Write(sink.Checksum.Value);
    }

    /// <summary>
    /// Reads a network that <see cref="Save"/> wrote; it and its state equal the saved ones bit for bit.
    /// </summary>
    /// <param name="stream">Read up to the network's last byte and not further. It need not be able to seek.</param>
    /// <remarks>
    /// Truncation and damage are noticed. Memory grows with the bytes that are there, not with lengths claimed.
    /// </remarks>
    /// <exception cref="ArgumentNullException">The stream is null.</exception>
    /// <exception cref="InvalidDataException">
    /// The stream holds no network here, or it is truncated, damaged, of an unknown version, or has a value out of
    /// range; the message says which.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public static SavedNetwork Load(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var source = new ByteSource(stream, "The network");
        int length = NetworkHeader.Read(source, out PartFlags flags);
        source.Enter("its definition", length);
        byte[] definition = source.ReadArray<byte>(length);
        source.CheckChecksum();
        Network network = NetworkFormat.FromBytes(definition);
        NetworkState state = NetworkStateFormat.Read(source, network, flags);
        source.CheckChecksum();
        return NetworkStateFormat.Fault(network, state) is { } fault
            ? throw new InvalidDataException(fault)
            : new SavedNetwork(network, state);
    }

    void CheckSavable(NetworkState state)
    {
        CheckState(state);
        if (NetworkStateFormat.Fault(this, state) is { } fault)
            throw new InvalidOperationException($"The state cannot be saved: {fault}");
    }
}
