using System.Diagnostics.CodeAnalysis;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Several processes (ranks) that work on one job and exchange values: by MPI over machines, or
/// <see cref="ThreadCollective"/> in one process.
/// </summary>
/// <remarks>
/// Each call is made by all ranks, in the same order, and from one thread of each rank; it returns when the ranks have
/// exchanged their values. If a rank fails between two calls, the others wait for it: it must call <see cref="Abort"/>.
/// Whatever starts the ranks, such as <see cref="ThreadCollective.Run"/>, does that where a rank's program ends with an
/// exception.
/// </remarks>
public interface ICollective
{
    /// <summary>The number of this rank, from 0.</summary>
    int Rank { get; }

    /// <summary>The number of ranks, at least 1.</summary>
    int Size { get; }

    /// <summary>Gives the bytes of all ranks to every rank.</summary>
    /// <param name="mine">This rank's bytes: as many on each rank.</param>
    /// <param name="all">
    /// Receives the bytes of rank 0, then of rank 1, and so on: <see cref="Size"/> times as many.
    /// </param>
    void Gather(ReadOnlySpan<byte> mine, Span<byte> all);

    /// <summary>Replaces each value by its sum over all ranks, which has the same bits on every rank.</summary>
    /// <param name="values">As many on each rank.</param>
    void Sum(Span<float> values);

    /// <inheritdoc cref="Sum(Span{float})"/>
    void Sum(Span<double> values);

    /// <summary>Gives the bytes of one rank to every rank.</summary>
    /// <param name="values">As many on each rank; those of <paramref name="root"/> replace the others'.</param>
    /// <param name="root">The rank that has the bytes.</param>
    void Broadcast(Span<byte> values, int root);

    /// <summary>
    /// Ends the job on all ranks, wherever they are. Only this call may be made by one rank alone, and from any thread.
    /// It does not return.
    /// </summary>
    /// <param name="reason">Why, for whoever started the job.</param>
    [DoesNotReturn]
    void Abort(string reason);
}
