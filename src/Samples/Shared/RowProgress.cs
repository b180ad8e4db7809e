using Microsoft.ML.BatchNorm;

namespace Samples;

/// <summary>The progress of work on many rows: how much is done, how fast, and how long the rest will take.</summary>
/// <param name="rows">The number of rows of the work; a row that is seen twice counts twice.</param>
/// <param name="time">The clock for <see cref="RowsPerSecond"/>.</param>
sealed class RowProgress(long rows, TimeProvider time)
{
    /// <summary>The time left is shown from this share of the rows on; before, it would be a guess.</summary>
    const double EnoughForAGuess = 0.05;

    readonly long start = time.GetTimestamp();

    /// <summary>When the first rows were done, and how many: they take longer, since their code is compiled.</summary>
    (long Time, long Rows)? first;

    /// <summary>Raised after every <see cref="Add"/>, on the thread that does the work.</summary>
    public event Action? Moved;

    public long Rows => rows;

    public long Done { get; private set; }

    /// <summary>What is being done, or its result so far; empty for none.</summary>
    public string Note { get; set; } = "";

    public TimeSpan Elapsed => time.GetElapsedTime(start);

    /// <summary>Measured after the first rows; 0 until there are others.</summary>
    public double RowsPerSecond => first is { } at && Done > at.Rows && time.GetElapsedTime(at.Time) is var since
        && since > TimeSpan.Zero ? (Done - at.Rows) / since.TotalSeconds : 0;

    /// <summary>
    /// Speed, time left and the note, such as <c>41,870 rows/s, 3 s left, loss 0.012</c>, as far as they are known.
    /// </summary>
    public string Pace
    {
        get
        {
            double speed = RowsPerSecond;
            var known = new List<string>();
            if (speed > 0)
                known.Add($"{speed:N0} rows/s");
            if (speed > 0 && Done >= EnoughForAGuess * rows)
                known.Add($"{Math.Ceiling((rows - Done) / speed):N0} s left");
            if (Note.Length > 0)
                known.Add(Note);
            return string.Join(", ", known);
        }
    }

    public void Add(long more)
    {
        Done += more;
        first ??= (time.GetTimestamp(), Done);
        Moved?.Invoke();
    }

    /// <summary>Counts the rows of a training run; pass it as the argument <c>progress</c>.</summary>
    /// <param name="rowsPerEpoch">The rows of an epoch.</param>
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
