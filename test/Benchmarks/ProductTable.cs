using System.Diagnostics;
using System.Globalization;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>
/// The products of dense networks beside <see cref="ProcessorPeak"/>, alternately in one process; medians. What limits
/// them, at two multiply-adds of 16 lanes a cycle with a latency of 4 cycles, two loads and one store of a vector:
/// the lanes that n columns leave empty (10 of 16 used: 62 %, 3: 19 %); a tile's way in and out, some 50 cycles beside
/// k·rows; a single row's chains of k sums, 4·k cycles where up to 128 columns run at once.
/// </summary>
static class ProductTable
{
    const int Rounds = 201;

    // Short against the slices in which a busy machine shares its processors: most rounds have one to themselves.
    static readonly TimeSpan Round = TimeSpan.FromMilliseconds(0.2);
    static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(50);

    static readonly (int Batch, int[] Widths)[] Networks =
        [(32, [4, 64, 64, 3]), (256, [64, 128, 64, 10]), (256, [784, 512, 256, 10])];

    public static void Print()
    {
        foreach ((int batch, int[] widths) in Networks)
        {
            for (int layer = 0; layer + 1 < widths.Length; layer++)
                PrintLayer(batch, widths[layer], widths[layer + 1]);
        }
    }

    static void PrintLayer(int batch, int inputs, int outputs)
    {
        string name = $"product {inputs}→{outputs} at {batch},";
        var layer = new DenseProducts(batch, inputs, outputs);
        PrintRate($"{name} forward", layer.Operations, layer.Forward);
        PrintRate($"{name} input gradient", layer.Operations, layer.InputGradient);
        PrintRate($"{name} weight gradient", layer.Operations, layer.WeightGradient);
        if (outputs % 16 == 0)
        {
            PrintRate($"{name} forward, not packed", layer.Operations, layer.ForwardUnpacked);
            PrintRate($"{name} weight gradient, not packed", layer.Operations, layer.WeightGradientUnpacked);
        }
        PrintRate($"{name} one row forward", layer.Operations / batch, layer.OneRow);
        PrintTime($"{name} packing of the weights", layer.Pack);
        PrintTime($"{name} packing of the weights transposed", layer.PackTransposed);
        PrintTime($"{name} packing of the gradient", layer.PackGradient);
    }

    static void PrintRate(string name, double operations, Action work)
    {
        if (!IsWanted(name))
            return;
        int count = Repetitions(work), peakCount = Repetitions(ProcessorPeak.Run);
        double[] times = new double[Rounds], peaks = new double[Rounds];
        for (int round = 0; round < Rounds; round++)
        {
            times[round] = Seconds(work, count);
            peaks[round] = Seconds(ProcessorPeak.Run, peakCount);
        }
        double time = Median(times), rate = operations / time / 1e9;
        double peak = ProcessorPeak.Operations / Median(peaks) / 1e9;
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{name,-56} {time * 1e9,9:F0} ns {rate,6:F1} GFLOP/s peak={peak:F1} ratio={rate / peak:F2}"));
    }

    static void PrintTime(string name, Action work)
    {
        if (!IsWanted(name))
            return;
        int count = Repetitions(work);
        double[] times = new double[Rounds];
        for (int round = 0; round < Rounds; round++)
            times[round] = Seconds(work, count);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-56} {Median(times) * 1e9,9:F0} ns"));
    }

    static bool IsWanted(string name) => name.Contains(Comparison.Filter, StringComparison.OrdinalIgnoreCase);

    /// <summary>Runs that take a round, after those that warm up.</summary>
    static int Repetitions(Action work)
    {
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < WarmUp)
            work();
        int count = 1;
        while (Seconds(work, count) * count < Round.TotalSeconds)
            count *= 2;
        return count;
    }

    static double Seconds(Action work, int count)
    {
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < count; i++)
            work();
        return Stopwatch.GetElapsedTime(start).TotalSeconds / count;
    }

    static double Median(double[] times)
    {
        Array.Sort(times);
        return times[times.Length / 2];
    }
}
