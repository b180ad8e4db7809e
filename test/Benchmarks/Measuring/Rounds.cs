using System.Diagnostics;
using System.Runtime;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>
/// Times several pieces of work in turn, in one process. Machines are shared, and other processes only ever add time:
/// the fastest of every few turns counts, and the median of these is given. Ratios count; a lone time does not.
/// </summary>
static class Rounds
{
    const int Least = 5, Most = 1008, Few = 16, MostWarmUps = 8;
    static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(60), Compilation = TimeSpan.FromMilliseconds(110);
    static readonly TimeSpan Enough = TimeSpan.FromSeconds(1), AtMost = TimeSpan.FromSeconds(3);

    // Short against the slices in which a busy machine shares its processors: most turns have one to themselves.
    static readonly TimeSpan ShortTurn = TimeSpan.FromMilliseconds(2);

    // Threads spin for a while when their work is done, on a processor that the next in turn needs.
    static readonly TimeSpan LongTurn = TimeSpan.FromMilliseconds(5), Pause = TimeSpan.FromMilliseconds(5);
    static readonly TimeSpan EnoughWithPauses = TimeSpan.FromSeconds(2);

    /// <summary>The time of a call of each, in seconds.</summary>
    /// <param name="works">What is timed.</param>
    /// <param name="pause">Whether what the works leave running comes to rest between turns.</param>
    /// <param name="wait">Waits until a device has done what it was given.</param>
    public static double[] Seconds(IReadOnlyList<Action> works, bool pause, Action wait)
    {
        Warm(works, wait);
        (TimeSpan turn, TimeSpan enough) = pause ? (LongTurn, EnoughWithPauses) : (ShortTurn, Enough);
        int[] calls = [.. works.Select(work => CallsOf(work, turn, wait))];
        List<double>[] times = [.. works.Select(_ => new List<double>())];
        long start = Stopwatch.GetTimestamp();
        for (int round = 0; round < Least || IsWorthMore(round); round++)
        {
            for (int position = 0; position < works.Count; position++)
            {
                int i = (round + position) % works.Count;
                if (pause)
                    Thread.Sleep(Pause);
                // What the others have taken from the caches comes back before the clock runs.
                if (calls[i] > 1)
                    works[i]();
                times[i].Add(Seconds(works[i], calls[i], wait));
            }
        }
        return [.. times.Select(Typical)];

        bool IsWorthMore(int rounds) =>
            rounds < Most && Stopwatch.GetElapsedTime(start) < (rounds < Few ? AtMost : enough);
    }

    static void Warm(IReadOnlyList<Action> works, Action wait)
    {
        // The runtime compiles in full what is called often, step by step and in the background.
        long before = -1;
        for (int i = 0; i < MostWarmUps && JitInfo.GetCompiledMethodCount() != before; i++)
        {
            before = JitInfo.GetCompiledMethodCount();
            foreach (Action work in works)
                RunFor(WarmUp, work, wait);
            Thread.Sleep(Compilation);
        }
    }

    static void RunFor(TimeSpan time, Action work, Action wait)
    {
        long start = Stopwatch.GetTimestamp();
        do
            work();
        while (Stopwatch.GetElapsedTime(start) < time);
        wait();
    }

    /// <summary>The calls that take as long as a turn.</summary>
    static int CallsOf(Action work, TimeSpan turn, Action wait)
    {
        int calls = 1;
        // Once may be long because another process had the processor.
        while (!IsLong() || !IsLong())
            calls *= 2;
        return calls;

        bool IsLong() => Seconds(work, calls, wait) * calls >= turn.TotalSeconds;
    }

    static double Seconds(Action work, int calls, Action wait)
    {
        wait();
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < calls; i++)
            work();
        wait();
        return Stopwatch.GetElapsedTime(start).TotalSeconds / calls;
    }

    static double Typical(List<double> times)
    {
        double[] fastest = [.. times.Chunk(Few).Where(turns => turns.Length == Few || times.Count < Few)
            .Select(turns => turns.Min()).Order()];
        return (fastest[(fastest.Length - 1) / 2] + fastest[fastest.Length / 2]) / 2;
    }
}
