using Microsoft.ML.BatchNorm;

namespace Samples;

/// <summary>How far a work of many rows is, how fast it goes, and how long the rest of it will take.</summary>
/// <param name="rows">All rows of the work; one that is seen twice counts twice.</param>
/// <param name="time">The clock that <see cref="RowsPerSecond"/> goes by.</param>
sealed class RowProgress(long rows, TimeProvider time)
{
    readonly long start = time.GetTimestamp();

    /// <summary>Called after every <see cref="Add"/>, on the thread that works.</summary>
    public event Action? Moved;

    public long Rows => rows;

    public long Done { get; private set; }

    /// <summary>What is being done, or came of it so far; empty for nothing.</summary>
    public string Note { get; set; } = "";

    public TimeSpan Elapsed => time.GetElapsedTime(start);

    public double RowsPerSecond => Elapsed > TimeSpan.Zero ? Done / Elapsed.TotalSeconds : 0;

    /// <summary>Speed, time left and the note, such as <c>41,870 rows/s, 3 s left, loss 0.012</c>.</summary>
    public string Pace => Done == 0
        ? ""
        : $"{RowsPerSecond:N0} rows/s, {Math.Ceiling((rows - Done) / RowsPerSecond):N0} s left"
            + (Note.Length == 0 ? "" : $", {Note}");

    public void Add(long more)
    {
        Done += more;
        Moved?.Invoke();
    }

    /// <summary>Counts the rows of a training run; for its argument <c>progress</c>.</summary>
    /// <param name="rowsPerEpoch">The rows that it trains on.</param>
    /// <param name="note">Shown before the loss.</param>
    public IProgress<TrainingProgress> Run(int rowsPerEpoch, string note = "") =>
        new TrainingRun(this, rowsPerEpoch, note);

    sealed class TrainingRun(RowProgress work, int rowsPerEpoch, string note) : IProgress<TrainingProgress>
    {
        long counted;

        public void Report(TrainingProgress value)
        {
            long seen = value.Step * rowsPerEpoch / value.StepsPerEpoch, more = seen - counted;
            counted = value.IsEndOfEpoch ? 0 : seen;
            work.Note = $"{note}loss {value.Loss:0.000}";
            work.Add(more);
        }
    }
}
