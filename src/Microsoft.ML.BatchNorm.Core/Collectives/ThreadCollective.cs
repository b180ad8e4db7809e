using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Ranks that are threads of one process: with them, a program for several processes can be tested anywhere, without
/// MPI. Calls that do not match are errors on every rank, and so is a call from another thread of a rank.
/// </summary>
public sealed class ThreadCollective : ICollective
{
    readonly Meeting meeting;
    readonly int thread = Environment.CurrentManagedThreadId;

    ThreadCollective(Meeting meeting, int rank) => (this.meeting, Rank) = (meeting, rank);

    /// <inheritdoc/>
    public int Rank { get; }

    /// <inheritdoc/>
    public int Size => meeting.Size;

    /// <summary>Runs a program on several ranks, each on a thread of its own.</summary>
    /// <param name="size">The number of ranks.</param>
    /// <param name="program">What each rank does.</param>
    /// <returns>The results, in the order of the ranks.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is not at least one rank.</exception>
    /// <exception cref="InvalidOperationException">
    /// A rank called <see cref="Abort"/>, or the ranks did not make the same calls.
    /// </exception>
    /// <remarks>
    /// If the program throws on a rank, all ranks end, and this method throws that exception: of several, that of the
    /// lowest rank.
    /// </remarks>
    public static T[] Run<T>(int size, Func<ICollective, T> program)
    {
        Check.Positive(size, nameof(size));
        ArgumentNullException.ThrowIfNull(program);
        var meeting = new Meeting(size);
        var results = new T[size];
        var errors = new Exception?[size];
        Thread[] threads =
        [
            .. Enumerable.Range(0, size).Select(
                rank => new Thread(() => RunRank(rank)) { IsBackground = true, Name = $"Rank {rank}" }),
        ];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        Exception? error = Array.Find(errors, error => error is not (null or EndedException))
            ?? Array.Find(errors, error => error is not null);
        if (error is not null)
            ExceptionDispatchInfo.Throw(error);
        return results;

        void RunRank(int rank)
        {
            try
            {
                results[rank] = program(new ThreadCollective(meeting, rank));
                meeting.Leave(rank);
            }
            catch (Exception exception)
            {
                errors[rank] = exception;
                meeting.End($"Rank {rank} failed: {exception.Message}");
            }
        }
    }

    /// <inheritdoc/>
    public void Gather(ReadOnlySpan<byte> mine, Span<byte> all)
    {
        if (all.Length != (long)Size * mine.Length)
            throw new ArgumentException(
                $"There is room for {all.Length} bytes; {Size} ranks have {mine.Length} each.", nameof(all));
        byte[][] given = Exchange($"Gather of {mine.Length} bytes", mine);
        for (int rank = 0; rank < Size; rank++)
            given[rank].CopyTo(all[(rank * mine.Length)..]);
    }

    /// <inheritdoc/>
    public void Sum(Span<float> values)
    {
        byte[][] given = Exchange($"Sum of {values.Length} floats", MemoryMarshal.AsBytes(values));
        values.Clear();
        foreach (byte[] addends in given)
        {
            ReadOnlySpan<float> added = MemoryMarshal.Cast<byte, float>(addends);
            for (int i = 0; i < values.Length; i++)
                values[i] += added[i];
        }
    }

    /// <inheritdoc/>
    public void Sum(Span<double> values)
    {
        byte[][] given = Exchange($"Sum of {values.Length} doubles", MemoryMarshal.AsBytes(values));
        values.Clear();
        foreach (byte[] addends in given)
        {
            ReadOnlySpan<double> added = MemoryMarshal.Cast<byte, double>(addends);
            for (int i = 0; i < values.Length; i++)
                values[i] += added[i];
        }
    }

    /// <inheritdoc/>
    public void Broadcast(Span<byte> values, int root)
    {
        if ((uint)root >= (uint)Size)
            throw Check.OutOfRange(root, nameof(root), $"from 0 to {Size - 1}");
        byte[][] given = Exchange($"Broadcast of {values.Length} bytes from rank {root}", values);
        given[root].CopyTo(values);
    }

    /// <inheritdoc/>
    [DoesNotReturn]
    public void Abort(string reason)
    {
        meeting.End($"Rank {Rank} ended the job: {reason}");
        meeting.ThrowIfEnded();
        throw new InvalidOperationException(reason);
    }

    byte[][] Exchange(string call, ReadOnlySpan<byte> values) => Environment.CurrentManagedThreadId == thread
        ? meeting.Exchange(Rank, call, values)
        : throw new InvalidOperationException(
            "The calls of a collective come from one thread: the one that ThreadCollective.Run has started for the rank.");

    /// <summary>Where the ranks meet for each call.</summary>
    sealed class Meeting(int size)
    {
        readonly object gate = new();
        readonly string[] calls = new string[size];

        /// <summary>What the ranks gave to this call, and to the one before it, which a rank may still read.</summary>
        byte[][] given = new byte[size][], before = new byte[size][];

        string? end;
        int arrived, left, number;

        public int Size => size;

        /// <summary>Waits for the same call of all ranks, and returns what each gave to it.</summary>
        public byte[][] Exchange(int rank, string call, ReadOnlySpan<byte> values)
        {
            lock (gate)
            {
                ThrowIfEnded();
                byte[][] own = given;
                own[rank] = values.ToArray();
                calls[rank] = call;
                int mine = number;
                arrived++;
                if (arrived == size)
                    Open();
                else if (arrived + left == size)
                    EndLocked($"Rank {rank} waits in {call}, and other ranks are at their end.");
                while (number == mine && end is null)
                    Monitor.Wait(gate);
                if (number == mine)
                    ThrowIfEnded();
                return own;
            }
        }

        /// <summary>A rank is at the end of its program.</summary>
        public void Leave(int rank)
        {
            lock (gate)
            {
                left++;
                if (arrived > 0 && arrived + left == size)
                    EndLocked($"Rank {rank} is at its end, and other ranks wait for it in another call.");
            }
        }

        public void End(string reason)
        {
            lock (gate)
                EndLocked(reason);
        }

        public void ThrowIfEnded()
        {
            lock (gate)
            {
                if (end is not null)
                    throw new EndedException(end);
            }
        }

        void Open()
        {
            int other = Array.FindIndex(calls, call => call != calls[0]);
            if (other >= 0)
            {
                EndLocked($"The ranks' calls do not match: rank 0 is in {calls[0]}, rank {other} in {calls[other]}.");
                return;
            }
            (given, before) = (before, given);
            arrived = 0;
            number++;
            Monitor.PulseAll(gate);
        }

        void EndLocked(string reason)
        {
            end ??= reason;
            Monitor.PulseAll(gate);
        }
    }

    /// <summary>The job has ended for a reason that lies on another rank, or in the calls.</summary>
    sealed class EndedException(string message) : InvalidOperationException(message);
}
