using System.Runtime.ExceptionServices;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Threads that share items of work which take microseconds: they spin for the next ones, and park when none come. The
/// calling thread takes part, and waits for items that others are at, never for a thread that has taken none.
/// </summary>
sealed class WorkerThreads : IDisposable
{
    /// <summary>How often a thread looks for work before it parks: some hundred microseconds.</summary>
    const int Spins = 2000;

    /// <summary>
    /// The length of a look, in units of <see cref="Thread.SpinWait"/>: short against a step's parts.
    /// </summary>
    const int Look = 1;

    readonly Thread[] helpers;
    readonly object gate = new();

    /// <summary>
    /// The number of the work above, how many of its items are left below: in one word, so that no thread takes an item
    /// of one work for that of another.
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
    /// <remarks>The first error of an item is thrown when all are done.</remarks>
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
            // Beyond that, a thread that is at an item has lost its processor.
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

    /// <summary>The number of the work, as soon as it is another than the last.</summary>
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
            // Either this thread sees the next ticket, or whoever issues it sees that a thread is parked.
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
