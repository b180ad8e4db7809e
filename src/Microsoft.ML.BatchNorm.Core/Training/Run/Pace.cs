namespace Microsoft.ML.BatchNorm.Training;

/// <summary>How fast an epoch goes, and when its progress is next told.</summary>
sealed class Pace(TimeProvider clock, long rowsBefore)
{
    static readonly TimeSpan interval = TimeSpan.FromMilliseconds(100);

    readonly long start = clock.GetTimestamp();
    long reported = clock.GetTimestamp();

    public bool IsReportDue()
    {
        long now = clock.GetTimestamp();
        if (clock.GetElapsedTime(reported, now) < interval)
            return false;
        reported = now;
        return true;
    }

    public double RowsPerSecond(long rows)
    {
        double seconds = clock.GetElapsedTime(start).TotalSeconds;
        return seconds > 0 ? (rows - rowsBefore) / seconds : 0;
    }
}
