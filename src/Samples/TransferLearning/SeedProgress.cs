using Microsoft.ML.BatchNorm;
using Spectre.Console;

namespace TransferLearning;

/// <summary>Moves a bar with every epoch; without a bar, says nothing.</summary>
sealed class SeedProgress(ProgressTask? bar = null) : IProgress<TrainingProgress>
{
    public string Name { get; set; } = "";

    public void Report(TrainingProgress value)
    {
        if (bar is null || !value.IsEndOfEpoch)
            return;
        bar.Description = $"{Name}, loss {value.Loss:0.000}, {value.RowsPerSecond:N0} rows/s";
        bar.Increment(1);
    }
}
