using System.Runtime.ExceptionServices;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Threads that share items of work which take microseconds. A thread without work spins for a while, then parks. The
/// calling thread takes part, and waits until all items are done; a helper that has not woken up is not waited for.
/// </summary>
sealed class WorkerThreads : IDisposable
{
    /// <summary>How often a thread checks for new work before it parks: some hundred microseconds in all.</summary>
    const int Spins = 2000;

    /// <summary>
    /// How long a thread spins between two checks, in iterations of <see cref="Thread.SpinWait"/>: short, compared with
    /// the parts of a training step.
    /// </summary>
    const int Look = 1;

    readonly Thread[] helpers;
    readonly object gate = new();

    /// <summary>
    /// The number of the current work in the upper half, and how many of its items are not taken yet in the lower half.
    /// One word holds both, so that a thread cannot take an item of later work for one of earlier work.
    /// </summary>
    long ticket;
    Action<int>? work;
    int items, completed, parked;
    bool stopped;
    ExceptionDispatchInfo? error;

    public WorkerThreads(int threads)
    {
        helpers = new Thread[threads - 1];
        for (int i = 0; i < helpers.Length; i++)
        {
            helpers[i] = new Thread(Help) { IsBackground = true, Name = "BatchNorm training" };
            helpers[i].Start();
        }
    }

    /// <summary>The number of threads, the calling one among them.</summary>
    public int Threads => helpers.Length + 1;

    /// <summary>Does items 0 to <paramref name="count"/> − 1, each once, on any of the threads.</summary>
    /// <remarks>If items throw, the first error is thrown when all items are done.</remarks>
    public void Run(int count, Action<int> item)
    {
        if (helpers.Length == 0 || count <= 1)
        {
            for (int i = 0; i < count; i++)
                item(i);
            return;
        }
        (work, items, completed, error) = (item, count, 0, null);
        uint number = unchecked((uint)(Volatile.Read(ref ticket) >> 32) + 1);
        Interlocked.Exchange(ref ticket, (long)number << 32 | (uint)count);
        if (Volatile.Read(ref parked) > 0)
            Wake();
        TakeItems(number);
        for (int spin = 0; Volatile.Read(ref completed) != count; spin++)
        {
            // After that long, a thread that works on an item has lost its processor.
            if (spin < Spins)
                Thread.SpinWait(Look);
            else
                Thread.Yield();
        }
        work = null;
        error?.Throw();
    }

    public void Dispose()
    {
        Volatile.Write(ref stopped, true);
        Wake();
        foreach (Thread helper in helpers)
            helper.Join();
    }

    void Wake()
    {
        lock (gate)
            Monitor.PulseAll(gate);
    }

    void Help()
    {
        uint done = 0;
        while (!Volatile.Read(ref stopped))
        {
            uint number = Await(done);
            if (number != done)
                TakeItems(done = number);
        }
    }

    /// <summary>
    /// Waits until there is other work than the last, or the threads stop, and gives the number of the current work.
    /// </summary>
    uint Await(uint last)
    {
        for (int spin = 0; spin < Spins; spin++)
        {
            if (Current != last)
                return Current;
            Thread.SpinWait(Look);
        }
        lock (gate)
        {
            // Either this thread sees the next ticket, or the one that issues it sees a parked thread and wakes it.
            Interlocked.Increment(ref parked);
            while (Current == last && !Volatile.Read(ref stopped))
                Monitor.Wait(gate);
            Interlocked.Decrement(ref parked);
        }
        return Current;
    }

    uint Current => unchecked((uint)(Volatile.Read(ref ticket) >> 32));

    void TakeItems(uint number)
    {
        while (true)
        {
            long seen = Volatile.Read(ref ticket);
            int left = unchecked((int)seen);
            if (unchecked((uint)(seen >> 32)) != number || left == 0)
                return;
            if (Interlocked.CompareExchange(ref ticket, seen - 1, seen) != seen)
                continue;
            try
            {
                work!(items - left);
            }
            catch (Exception exception)
            {
                Interlocked.CompareExchange(ref error, ExceptionDispatchInfo.Capture(exception), null);
            }
            Interlocked.Increment(ref completed);
        }
    }
}
