namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>Training on all threads beside one, of networks with ever more to do in a step.</summary>
static class ThreadTable
{
    const int DataRows = 2048;

    static readonly Subject[] Subjects =
    [
        Subject.Of(32, 4, 16, 3), Subject.Of(32, 4, 64, 64, 3), Subject.Of(128, 4, 64, 64, 3),
        Subject.Of(32, 64, 128, 64, 10), Subject.Of(512, 4, 64, 64, 3), Subject.Of(64, 64, 128, 64, 10),
        Subject.Of(128, 64, 128, 64, 10), Subject.Of(256, 64, 128, 64, 10), Subject.Of(16, 784, 512, 256, 10),
        Subject.Of(32, 784, 512, 256, 10), Subject.Of(1024, 64, 128, 64, 10), Subject.Of(256, 784, 512, 256, 10),
        .. Subject.Images,
    ];

    public static Table Make() => new(
        "threads",
        $"Steps of training with Adam on {Subject.Threads(Environment.ProcessorCount)} beside one. A step has so many "
        + "million multiply-adds (M),\nand takes so many threads by default.",
        Unit.RowsPerSecond, ["1 thread"], Subjects.Select(subject => new Comparison(Name(subject), () =>
        {
            var all = new EngineTraining(new CpuEngine(Environment.ProcessorCount), subject, DataRows);
            var one = new EngineTraining(new CpuEngine(1), subject, DataRows);
            return new Contest(subject.Batch, all.Step) { HasThreads = true }.Against(one.Step).Owning(all, one);
        })));

    static string Name(Subject subject)
    {
        double work = (double)StepWork.MultiplyAdds(subject.Network) * subject.Batch / 1e6;
        return $"{subject.Name}: {work:0.0} M, default {StepWork.Threads(subject.Network, subject.Batch)}";
    }
}
