using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>What carries the messages: the time of a small one between two ranks, and bytes a second.</summary>
readonly record struct Link(string Name, double Latency, double BytesPerSecond)
{
    static readonly int[] sizes = [64, 512, 100_000, 10_000_000];

    /// <summary>Usual values, which are not measured.</summary>
    public static Link[] Usual { get; } =
        [new("10 Gbit Ethernet, as usual", 25e-6, 1.1e9), new("100 Gbit InfiniBand, as usual", 2e-6, 11e9)];

    /// <summary>Measures gathers and sums, prints their medians on rank 0, and finds the link that they had.</summary>
    public static Link Measure(ICollective ranks)
    {
        double latency = 0, rate = 0;
        foreach (int size in sizes)
        {
            float[] values = new float[size], all = new float[size * ranks.Size];
            int calls = size > 1_000_000 ? 9 : 201;
            double gather = Times(calls, Gather)[calls / 2], sum = Times(calls, () => ranks.Sum(values))[calls / 2];
            if (ranks.Rank == 0)
                Console.WriteLine($"{size,12:N0} floats   gather {1e6 * gather,12:N1} µs   sum {1e6 * sum,12:N1} µs");
            if (size == sizes[0])
                latency = sum / Rounds(ranks.Size);
            rate = 2.0 * (ranks.Size - 1) / ranks.Size * size * sizeof(float) / sum;

            void Gather() =>
                ranks.Gather(MemoryMarshal.AsBytes<float>(values), MemoryMarshal.AsBytes(all.AsSpan()));
        }
        return new Link("measured here", latency, rate);
    }

    /// <summary>
    /// The time of a step's messages on so many ranks: a small one takes a round for each doubling of the ranks; of a
    /// sum each rank sends and gets nearly its bytes twice, and of a gather those of all ranks once.
    /// </summary>
    public double Seconds(Traffic traffic, int ranks) =>
        (traffic.Gathers + traffic.Sums) * Rounds(ranks) * Latency
        + (ranks - 1.0) * (2.0 / ranks * traffic.SummedBytes + traffic.GatheredBytes) / BytesPerSecond;

    /// <summary>The times of some calls after the first, the shortest first.</summary>
    public static double[] Times(int calls, Action call)
    {
        call();
        double[] times = new double[calls];
        for (int i = 0; i < calls; i++)
        {
            long start = Stopwatch.GetTimestamp();
            call();
            times[i] = Stopwatch.GetElapsedTime(start).TotalSeconds;
        }
        Array.Sort(times);
        return times;
    }

    static int Rounds(int ranks) => (int)Math.Ceiling(Math.Log2(ranks));
}
