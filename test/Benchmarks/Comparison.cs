using System.Diagnostics;
using System.Globalization;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>
/// Two pieces of work over the same bytes, timed alternately in one process; the medians and their ratio. Machines are
/// shared and noisy: the ratio counts, a lone time does not.
/// </summary>
static class Comparison
{
    const int LeastRounds = 30, MostRounds = 2_000;
    static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(400), Enough = TimeSpan.FromSeconds(5);

    /// <summary>Only comparisons whose name contains this are run.</summary>
    public static string Filter { get; set; } = "";

    /// <summary>Prints one line.</summary>
    /// <param name="name">What is compared.</param>
    /// <param name="bytes">The bytes that each of the two counts as moving.</param>
    /// <param name="ours">The library's work.</param>
    /// <param name="reference">What it is measured against.</param>
    public static void Print(string name, double bytes, Action ours, Action reference)
    {
        if (!name.Contains(Filter, StringComparison.OrdinalIgnoreCase))
            return;
        (double oursTime, double referenceTime) = Medians(ours, reference);
        double oursRate = bytes / oursTime / 1e9, referenceRate = bytes / referenceTime / 1e9;
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{name} ours={oursRate:F1} GB/s reference={referenceRate:F1} GB/s ratio={oursRate / referenceRate:F2}"));
    }

    /// <summary>Prints one line of times, whose ratio is better the smaller it is.</summary>
    /// <param name="name">What is compared.</param>
    /// <param name="count">How often each of the two does what is timed.</param>
    /// <param name="ours">The library's work.</param>
    /// <param name="reference">What it is measured against.</param>
    public static void PrintTimes(string name, int count, Action ours, Action reference)
    {
        if (!name.Contains(Filter, StringComparison.OrdinalIgnoreCase))
            return;
        (double oursTime, double referenceTime) = Medians(ours, reference);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{name} ours={oursTime / count * 1e9:F0} ns reference={referenceTime / count * 1e9:F0} ns " +
            $"ratio of times={oursTime / referenceTime:F2}"));
    }

    static (double Ours, double Reference) Medians(Action ours, Action reference)
    {
        Warm(ours);
        Warm(reference);
        List<double> oursTimes = [], referenceTimes = [];
        long start = Stopwatch.GetTimestamp();
        for (int round = 0; round < LeastRounds || IsWorthMore(round, start); round++)
        {
            // Each comes first as often as second.
            if (round % 2 == 1)
                referenceTimes.Add(Seconds(reference));
            oursTimes.Add(Seconds(ours));
            if (round % 2 == 0)
                referenceTimes.Add(Seconds(reference));
        }
        return (Median(oursTimes), Median(referenceTimes));
    }

    static bool IsWorthMore(int rounds, long start) =>
        rounds < MostRounds && (rounds % 2 == 1 || Stopwatch.GetElapsedTime(start) < Enough);

    static void Warm(Action work)
    {
        for (int i = 0; i < 2; i++)
        {
            long start = Stopwatch.GetTimestamp();
            do
                work();
            while (Stopwatch.GetElapsedTime(start) < WarmUp);
            // The runtime compiles in full what is called often, in the background.
            Thread.Sleep(WarmUp);
        }
    }

    static double Seconds(Action work)
    {
        long start = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    static double Median(List<double> times)
    {
        times.Sort();
        return (times[(times.Count - 1) / 2] + times[times.Count / 2]) / 2;
    }
}
