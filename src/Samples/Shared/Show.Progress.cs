using Spectre.Console;
using Spectre.Console.Rendering;

namespace Samples;

static partial class Show
{
    static readonly TimeSpan lineInterval = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Does something that takes a while, and shows its progress with the rows per second and the time left: a bar in a
    /// terminal, otherwise one line per second and one at the end.
    /// </summary>
    /// <param name="name">The name of the work.</param>
    /// <param name="rows">The number of rows of the work; a row that is seen twice counts twice.</param>
    /// <param name="work">Does the work, and reports the rows that are done.</param>
    public static T Progress<T>(string name, long rows, Func<RowProgress, T> work)
    {
        var progress = new RowProgress(rows, TimeProvider.System);
        if (IsTerminal)
            return WithBar(name, progress, work);
        WriteLines(name, progress, Text);
        T result = work(progress);
        double seconds = progress.Elapsed.TotalSeconds;
        Text($"{name}: {progress.Done:N0} rows in {seconds:0.0} s, {progress.Done / seconds:N0} rows/s");
        return result;
    }

    /// <summary>Writes a line when the work moves, at most one per second.</summary>
    internal static void WriteLines(string name, RowProgress progress, Action<string> write)
    {
        TimeSpan last = TimeSpan.Zero;
        progress.Moved += () =>
        {
            TimeSpan now = progress.Elapsed;
            if (now - last < lineInterval || progress.Done == progress.Rows)
                return;
            last = now;
            string pace = progress.Pace;
            write($"{name}: {(double)progress.Done / progress.Rows:0 %}{(pace.Length > 0 ? ", " : "")}{pace}");
        };
    }

    static T WithBar<T>(string name, RowProgress progress, Func<RowProgress, T> work) => AnsiConsole.Progress()
        .Columns(
            new TaskDescriptionColumn(), new ProgressBarColumn { Width = 15 }, new PercentageColumn(),
            new PaceColumn(progress))
        .Start(context =>
        {
            ProgressTask bar = context.AddTask(Markup.Escape(name), maxValue: progress.Rows);
            progress.Moved += () => bar.Value = progress.Done;
            return work(progress);
        });

    sealed class PaceColumn(RowProgress progress) : ProgressColumn
    {
        protected override bool NoWrap => true;

        public override IRenderable Render(RenderOptions options, ProgressTask task, TimeSpan deltaTime) =>
            new Text(progress.Pace);
    }
}
