using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;

namespace Microsoft.ML.BatchNorm.Mpi;

/// <summary>The ranks of an MPI that has been started.</summary>
sealed class MpiCollective : ICollective
{
    /// <summary>A launcher drops what it has not read when the job ends: MPICH's does so when it is busy.</summary>
    static readonly TimeSpan timeToRead = TimeSpan.FromSeconds(0.5);

    static int started;

    readonly MpiLibrary mpi;
    readonly int thread = Environment.CurrentManagedThreadId;
    bool isOver;

    MpiCollective(MpiLibrary mpi, int rank, int size)
    {
        (this.mpi, Rank, Size) = (mpi, rank, size);
        AppDomain.CurrentDomain.ProcessExit += (_, _) => EndWithProcess();
    }

    public int Rank { get; }

    public int Size { get; }

    /// <summary>Starts MPI.</summary>
    /// <exception cref="InvalidOperationException">
    /// MPI was started before in this process, or the launcher has started more ranks than the library knows of.
    /// </exception>
    public static MpiCollective Start(string[] arguments, Launcher? launcher)
    {
        if (Interlocked.Exchange(ref started, 1) != 0)
            throw new InvalidOperationException("A process can start MPI only once: put all work into one Mpi.Run.");
        MpiLibrary mpi = MpiLibrary.Load(launcher);
        (int rank, int size) = mpi.Init(arguments);
        if (launcher is not null && size < launcher.Ranks)
        {
            mpi.End();
            throw new InvalidOperationException(
                $"{launcher.Name} has started {launcher.Ranks} processes or more ({launcher.Variable}), but the "
                + $"library {mpi.Description} knows of {size}, so that each would work alone: they belong to different "
                + "MPIs. Start the program by the library's own launcher, or name the launcher's library in "
                + $"{MpiLibrary.Variable}.");
        }
        return new MpiCollective(mpi, rank, size);
    }

    public void Gather(ReadOnlySpan<byte> mine, Span<byte> all)
    {
        CheckCall();
        if (all.Length != (long)Size * mine.Length)
            throw new ArgumentException(
                $"There is room for {all.Length} bytes; {Size} ranks have {mine.Length} each.", nameof(all));
        mpi.Gather(mine, all);
    }

    public void Sum(Span<float> values)
    {
        CheckCall();
        mpi.Sum(values);
    }

    public void Sum(Span<double> values)
    {
        CheckCall();
        mpi.Sum(values);
    }

    public void Broadcast(Span<byte> values, int root)
    {
        CheckCall();
        if ((uint)root >= (uint)Size)
            throw new ArgumentOutOfRangeException(nameof(root), root, $"There are the ranks 0 to {Size - 1}.");
        mpi.Broadcast(values, root);
    }

    [DoesNotReturn]
    public void Abort(string reason)
    {
        End($"ended the job: {reason}", exitCode: 1);
        throw new UnreachableException();
    }

    /// <summary>Ends all ranks, with a message on this one's standard error.</summary>
    public void End(string what, int exitCode)
    {
        isOver = true;
        Console.Error.WriteLine($"Rank {Rank} of {Size} {what}");
        Console.Error.Flush();
        Thread.Sleep(timeToRead);
        mpi.Abort(exitCode);
    }

    /// <summary>Ends MPI when the programs of all ranks are at their end.</summary>
    public void End()
    {
        isOver = true;
        mpi.End();
    }

    /// <summary>
    /// The process ends within the program. The others would wait for it, since not every launcher ends them then.
    /// </summary>
    void EndWithProcess()
    {
        if (!isOver)
            End("has ended its process within the program.", Environment.ExitCode is 0 ? 1 : Environment.ExitCode);
    }

    void CheckCall()
    {
        if (isOver)
            throw new InvalidOperationException("The program of Mpi.Run is at its end, and with it the ranks' calls.");
        if (Environment.CurrentManagedThreadId != thread)
            throw new InvalidOperationException(
                "The calls of a collective come from one thread: the one that Mpi.Run has started the program on.");
    }
}
