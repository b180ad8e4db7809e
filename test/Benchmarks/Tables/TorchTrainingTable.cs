using Microsoft.ML.BatchNorm.TorchSharp;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>Training with the TorchSharp engine on a device, in several ways.</summary>
static class TorchTrainingTable
{
    const int DataRows = 16_384;

    static readonly Subject[] Subjects = [.. Subject.Dense, Subject.Of(4096, 784, 512, 256, 10)];

    public static Table Make(string device) => new(
        "torch-training",
        $"Steps of training with Adam by the TorchSharp engine on {Libtorch.Place(device)}; beside TorchSharp's\n"
        + "modules, the engine with the data streamed and in mixed precision, and the core's engine.",
        Unit.RowsPerSecond, ["TorchSharp", "streamed", "mixed precision", "CpuEngine"],
        Libtorch.Problem.Length > 0
            ? []
            : Subjects.Select(subject => new Comparison(subject.Name, () => Contest(subject, device))));

    static Contest Contest(Subject subject, string device)
    {
        int threads = Libtorch.TakeThreads(device);
        var resident = new EngineTraining(new TorchEngine(device), subject, DataRows);
        var plain = new TorchTraining(subject, DataRows, device);
        var streamed = new EngineTraining(new TorchEngine(device, new() { DataBytesOnDevice = 0 }), subject, DataRows);
        var mixed = new EngineTraining(new TorchEngine(device, new() { MixedPrecision = true }), subject, DataRows);
        var core = new EngineTraining(new CpuEngine(threads), subject, DataRows);
        return new Contest(subject.Batch, resident.StepAhead) { HasThreads = true, Wait = () => Libtorch.Wait(device) }
            .Against(plain.StepAhead).Against(streamed.StepAhead).Against(mixed.StepAhead).Against(core.StepAhead)
            .Owning(resident, plain, streamed, mixed, core);
    }
}
