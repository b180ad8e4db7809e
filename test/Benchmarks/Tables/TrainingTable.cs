namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>Training with Adam, beside libtorch, and beside the processor's multiply-adds alone.</summary>
static class TrainingTable
{
    const int DataRows = 8192, ImageRows = 512;

    public static Table Make() => new(
        "training",
        "Steps of training with Adam, libtorch's on as many threads, in TorchSharp's modules. The peak is what the\n"
        + "multiply-adds of the dense and convolutional layers alone would allow.",
        Unit.RowsPerSecond, ["libtorch", "peak"],
        from subject in Subject.Dense.Concat(Subject.Images)
        from threads in Subject.ThreadCounts
        select new Comparison($"{subject.Name}, {Subject.Threads(threads)}", () => Contest(subject, threads)));

    static Contest Contest(Subject subject, int threads)
    {
        int rows = subject.IsOfImages ? ImageRows : DataRows;
        var ours = new EngineTraining(new CpuEngine(threads), subject, rows);
        TorchTraining? peer = Libtorch.OnThreads(threads, () => new TorchTraining(subject, rows));
        if (peer is not null)
            Agreement.Check("The first loss", [(float)ours.Loss()], [(float)peer.Loss()]);
        return new Contest(subject.Batch, ours.Step) { HasThreads = threads > 1 }
            .Against(peer is null ? null : peer.Step)
            .Against(ProcessorPeak.Run, threads * ProcessorPeak.Operations / subject.OperationsOfTraining)
            .Owning(ours, peer);
    }
}
