using System.Diagnostics;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>Several pieces of work timed alternately on one device; the seconds of each, medians.</summary>
static class Rounds
{
    const int Count = 11;
    static readonly TimeSpan Round = TimeSpan.FromMilliseconds(100);

    public static double[] Medians(string device, params Action[] works)
    {
        var times = Array.ConvertAll(works, _ => new double[Count]);
        for (int round = -2; round < Count; round++)
        {
            for (int i = 0; i < works.Length; i++)
            {
                double seconds = Seconds(device, works[i]);
                if (round >= 0)
                    times[i][round] = seconds;
            }
        }
        return Array.ConvertAll(times, Median);
    }

    static double Seconds(string device, Action work)
    {
        Wait(device);
        long start = Stopwatch.GetTimestamp();
        int count = 0;
        do
        {
            work();
            count++;
            // A device has a queue; what was only put there has not been done.
            if (count % 8 == 0)
                Wait(device);
        }
        while (Stopwatch.GetElapsedTime(start) < Round);
        Wait(device);
        return Stopwatch.GetElapsedTime(start).TotalSeconds / count;
    }

    static void Wait(string device)
    {
        if (device != "cpu")
            torch.cuda.synchronize(new torch.Device(device));
    }

    static double Median(double[] times)
    {
        Array.Sort(times);
        return times[times.Length / 2];
    }
}
