using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Microsoft.ML.BatchNorm.Persistence;
using Microsoft.ML.BatchNorm.Training;

namespace Microsoft.ML.BatchNorm;

public sealed partial class TrainingCheckpoint
{
    /// <summary>Writes every bit of the checkpoint in this library's own format.</summary>
    /// <param name="stream">Written from where it stands, neither flushed nor closed.</param>
    /// <remarks>
    /// <para>
    /// Version 1, little-endian. Header: eight bytes 89 42 4E 43 50 0D 0A 1A, version (uint16), flags (uint16) as
    /// <see cref="Network.Save"/> has them, length of the run in bytes (uint32). The run: network, options, phases,
    /// position, history. The CRC-32C (RFC 3720) of all before it (uint32). The layers' states as
    /// <see cref="Network.Save"/> has them, those of the best epoch where they are kept, the optimizer's moments
    /// (float32). Last, the CRC-32C of all before it (uint32).
    /// </para>
    /// <para>A version that this library has written can be read by every later one.</para>
    /// </remarks>
    /// <exception cref="ArgumentNullException">The stream is null.</exception>
    /// <exception cref="InvalidOperationException">
    /// A value of the state is not finite or out of range, or the run is larger than 1 GiB, and could not be loaded
    /// again; nothing was written.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public void Save(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        string? fault = Fault(Setup, State) ?? (position.Best?.State is { } kept ? Fault(Setup, kept) : null);
        if (fault is not null)
            throw new InvalidOperationException($"The checkpoint cannot be saved: {fault}");
        byte[] run = RunFormat.ToBytes(Setup, position);
        if (run.Length > CheckpointHeader.MaxRun)
            throw new InvalidOperationException(
                $"The checkpoint's run has {run.Length} bytes; {CheckpointHeader.MaxRun} can be saved.");
        var sink = new ByteSink(stream);
        PartFlags flags = NetworkStateFormat.Flags(State, position.Best?.State);
        CheckpointHeader.Write(sink, run.Length, flags);
        sink.Write(run);
        sink.Write(sink.Checksum.Value);
        NetworkStateFormat.Write(sink, Network, State, flags);
        if (position.Best?.State is { } best)
            NetworkStateFormat.Write(sink, Network, best, flags);
        foreach (ImmutableArray<float> moment in position.Optimizer.Moments.Values)
            sink.WriteArray(moment.AsSpan());
        sink.Write(sink.Checksum.Value);
    }

    /// <summary>
    /// Reads a checkpoint that <see cref="Save"/> wrote; a run resumed from it comes to the same bits.
    /// </summary>
    /// <param name="stream">Read up to the checkpoint's last byte and not further. It need not be able to seek.</param>
    /// <remarks>
    /// Truncation and damage are noticed. Memory grows with the bytes that are there, not with lengths claimed.
    /// </remarks>
    /// <exception cref="ArgumentNullException">The stream is null.</exception>
    /// <exception cref="InvalidDataException">
    /// The stream holds no checkpoint here, or it is truncated, damaged, of an unknown version, or has a value out of
    /// range; the message says which.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public static TrainingCheckpoint Load(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var source = new ByteSource(stream, "The checkpoint");
        int length = CheckpointHeader.Read(source, out PartFlags flags);
        source.Enter("its run", length);
        byte[] bytes = source.ReadArray<byte>(length);
        source.CheckChecksum();
        SavedRun run = RunFormat.FromBytes(bytes);
        NetworkState state = NetworkStateFormat.Read(source, run.Setup.Network, flags);
        NetworkState? best = run.HasBestState ? NetworkStateFormat.Read(source, run.Setup.Network, flags) : null;
        ImmutableSortedDictionary<string, ImmutableArray<float>> moments = ReadMoments(source, run);
        source.CheckChecksum();
        string? fault = Fault(run.Setup, state) ?? (best is null ? null : Fault(run.Setup, best));
        return fault is null
            ? new TrainingCheckpoint(run.Setup, run.With(state, best, moments))
            : throw new InvalidDataException(fault);
    }

    static string? Fault(RunSetup setup, NetworkState state) =>
        setup.Phases.Select(phase => phase.Network).Prepend(setup.Network)
            .Select(network => NetworkStateFormat.Fault(network, state))
            .FirstOrDefault(fault => fault is not null);

    static ImmutableSortedDictionary<string, ImmutableArray<float>> ReadMoments(ByteSource source, SavedRun run)
    {
        var moments = OptimizerState.Empty.Moments.ToBuilder();
        foreach ((string name, int length) in run.Moments)
        {
            source.Enter($"the moment '{name}'", (long)length * sizeof(float));
            float[] values = source.ReadArray<float>(length);
            if (!moments.TryAdd(name, ImmutableCollectionsMarshal.AsImmutableArray(values)))
                throw new InvalidDataException($"The moment '{name}' is there twice.");
        }
        return moments.ToImmutable();
    }
}
