using Microsoft.ML.BatchNorm;
using Spectre.Console;

namespace TransferLearning;

/// <summary>Moves a bar with every epoch; without a bar, writes a line at the end of a seed.</summary>
sealed class SeedProgress(ProgressTask? bar) : IProgress<TrainingProgress>
{
    public string Name { get; set; } = "";

    public void Report(TrainingProgress value)
    {
        if (bar is null || !value.IsEndOfEpoch)
            return;
        bar.Description = Markup.Escape(
            $"{Name}{(value.Phase == "" ? "" : $", {value.Phase}")}: epoch {value.Epoch} of {value.Epochs}, " +
            $"loss {value.Loss:0.000}, {value.RowsPerSecond:N0} rows/s");
        bar.Increment(1);
    }

    public void End(SeedResult result)
    {
        if (bar is null)
            Show.Text(
                $"{Name}: {string.Join(", ", result.Accuracies.Select(value => $"{value:0.0 %}"))} " +
                $"in {result.Seconds:0.0} s");
    }
}
