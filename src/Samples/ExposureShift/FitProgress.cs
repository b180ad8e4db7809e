using System.Diagnostics;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace ExposureShift;

/// <summary>Shows how far a fit is: a bar in a terminal, plain lines elsewhere.</summary>
static class FitProgress
{
    /// <summary>Takes the given number of epochs, and returns what each left.</summary>
    public static IReadOnlyList<T> Take<T>(IEnumerable<T> epochs, int count, int rowsPerEpoch)
    {
        var watch = Stopwatch.StartNew();
        var taken = new List<T>(count);
        if (Show.IsTerminal)
            WithBar();
        else
            WithLines();
        return taken;

        void WithBar() => AnsiConsole.Progress()
            .Columns(
                new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(),
                new RowsPerSecondColumn(), new RemainingTimeColumn())
            .Start(context =>
            {
                ProgressTask task = context.AddTask($"{count} epochs", maxValue: (double)count * rowsPerEpoch);
                foreach (T epoch in epochs.Take(count))
                {
                    taken.Add(epoch);
                    task.Increment(rowsPerEpoch);
                }
            });

        void WithLines()
        {
            double shown = 0;
            foreach (T epoch in epochs.Take(count))
            {
                taken.Add(epoch);
                double seconds = watch.Elapsed.TotalSeconds;
                if (seconds - shown < 1)
                    continue;
                shown = seconds;
                double left = seconds / taken.Count * (count - taken.Count);
                Show.Text(
                    $"epoch {taken.Count} of {count}: {taken.Count * rowsPerEpoch / seconds:N0} rows/s, {left:0} s left");
            }
            double total = (double)count * rowsPerEpoch;
            Show.Text($"{total:N0} rows in {count} epochs: {total / watch.Elapsed.TotalSeconds:N0} rows/s");
        }
    }

    sealed class RowsPerSecondColumn : ProgressColumn
    {
        public override IRenderable Render(RenderOptions options, ProgressTask task, TimeSpan deltaTime) =>
            new Text($"{task.Value / (task.ElapsedTime?.TotalSeconds ?? double.PositiveInfinity):N0} rows/s");
    }
}
