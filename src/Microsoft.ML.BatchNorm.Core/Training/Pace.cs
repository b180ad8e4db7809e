namespace Microsoft.ML.BatchNorm.Training;

/// <summary>
/// How fast epochs go, over the epoch so far and as many before it as make up a fifth of a second, and when progress is
/// next told.
/// </summary>
sealed class Pace(TimeProvider clock)
{
    static readonly TimeSpan interval = TimeSpan.FromMilliseconds(100), window = TimeSpan.FromMilliseconds(200);

    readonly Queue<(long Rows, TimeSpan Time)> earlier = new();
    long earlierRows, firstRow, start, reported;
    TimeSpan earlierTime;

    /// <summary>Begins an epoch behind its first rows, if those were trained on before.</summary>
    public void StartEpoch(long rowsBefore)
    {
        firstRow = rowsBefore;
        start = reported = clock.GetTimestamp();
    }

    public bool IsReportDue()
    {
        long now = clock.GetTimestamp();
        if (clock.GetElapsedTime(reported, now) < interval)
            return false;
        reported = now;
        return true;
    }

    public double RowsPerSecond(long rows) => RowsPerSecond(rows - firstRow, clock.GetElapsedTime(start));

    /// <summary>Ends the epoch; gives its rows a second.</summary>
    public double EndEpoch(long rows)
    {
        TimeSpan time = clock.GetElapsedTime(start);
        double rate = RowsPerSecond(rows - firstRow, time);
        earlier.Enqueue((rows - firstRow, time));
        earlierRows += rows - firstRow;
        earlierTime += time;
        return rate;
    }

    double RowsPerSecond(long rows, TimeSpan time)
    {
        while (earlier.TryPeek(out var oldest) && time + earlierTime - oldest.Time >= window)
        {
            earlier.Dequeue();
            earlierRows -= oldest.Rows;
            earlierTime -= oldest.Time;
        }
        double seconds = (time + earlierTime).TotalSeconds;
        return seconds > 0 ? (rows + earlierRows) / seconds : 0;
    }
}
