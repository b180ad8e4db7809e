namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>
/// What a step on several ranks sends, how long its messages take here, and from that a model of how training scales.
/// Started by mpirun, on two ranks or more.
/// </summary>
static class RankBenchmark
{
    const int Steps = 41, Most = 1024;

    static readonly Subject[] subjects = [Subject.Of(1024, 784, 512, 256, 10), Subject.Images[0] with { Batch = 256 }];

    public static void Run(ICollective ranks)
    {
        if (ranks.Size == 1)
            throw new InvalidOperationException("Start it by mpirun, on two ranks or more.");
        if (ranks.Rank == 0)
        {
            Machine.Print();
            Console.WriteLine(
                $"{ranks.Size} ranks; the median of messages, the fastest of {Steps} steps. If ranks share a "
                + "processor, they say nothing.");
        }
        Link link = Link.Measure(ranks);
        foreach (Subject subject in subjects)
        {
            double few = Alone(ranks, subject with { Batch = subject.Batch / 8 }), alone = Alone(ranks, subject);
            (double together, Traffic traffic) = Together(ranks, subject);
            if (ranks.Rank > 0)
                continue;
            Console.WriteLine(
                $"\n{subject.Name}: a step takes {1e3 * alone:N2} ms on one process, {1e3 * together:N2} ms on "
                + $"{ranks.Size} ranks, with {traffic.Gathers} gathers of {traffic.GatheredBytes:N0} bytes a rank and "
                + $"{traffic.Sums} sums of {traffic.SummedBytes:N0} bytes");
            foreach (Link each in (Link[])[link, .. Link.Usual])
                PrintModel(subject, traffic, few, alone, each);
        }
    }

    /// <summary>
    /// One process for each rank. A step is taken as some time, and some for each row of the rank. The batch stays
    /// that of one process, or grows with the ranks.
    /// </summary>
    static void PrintModel(Subject subject, Traffic traffic, double few, double alone, Link link)
    {
        double perRow = Math.Max(0, alone - few) / (subject.Batch - subject.Batch / 8);
        double fixedTime = Math.Max(0, alone - perRow * subject.Batch);
        Console.WriteLine(
            $"  {link.Name}: {1e6 * link.Latency:N1} µs, {link.BytesPerSecond / 1e9:N1} GB/s\n"
            + "  ranks  messages, ms   times one process: same batch   a batch for each rank");
        for (int ranks = 2; ranks <= Most; ranks *= 2)
        {
            double messages = link.Seconds(traffic, ranks);
            double same = alone / (fixedTime + perRow * subject.Batch / ranks + messages);
            double grown = ranks * alone / (alone + messages);
            Console.WriteLine($"  {ranks,5} {1e3 * messages,13:N3} {same,31:N2} {grown,23:N1}");
        }
    }

    /// <summary>The time of a step on rank 0 while the others wait.</summary>
    static double Alone(ICollective ranks, Subject subject)
    {
        double time = 0;
        if (ranks.Rank == 0)
        {
            using var training = new EngineTraining(new CpuEngine(1), subject, subject.Batch * 2);
            time = Link.Times(Steps, training.Step)[0];
        }
        Wait(ranks);
        return time;
    }

    static (double Time, Traffic Sent) Together(ICollective ranks, Subject subject)
    {
        var counted = new CountingCollective(ranks);
        using ITrainingSession session = new CpuEngine(1, counted).Start(
            subject.Network, subject.Network.Initialize(1), new TrainingOptions { BatchSize = subject.Batch },
            subject.Data(subject.Batch * 2).Share(ranks));
        int[] batch = subject.Batches(subject.Batch * 2)[0];
        Traffic before = counted.Sent;
        session.TrainOnBatch(batch, 0.001);
        Traffic sent = counted.Sent - before;
        return (Link.Times(Steps, () => session.TrainOnBatch(batch, 0.001))[0], sent);
    }

    /// <summary>Waits for rank 0; an MPI may keep a processor busy meanwhile.</summary>
    static void Wait(ICollective ranks) => ranks.Gather([0], new byte[ranks.Size]);
}
