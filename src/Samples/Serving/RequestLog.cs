using System.Diagnostics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Serving;

/// <summary>Counts requests; each second in which there were any has a line in the log.</summary>
sealed partial class RequestLog(ILogger<RequestLog> logger) : BackgroundService
{
    static readonly TimeSpan interval = TimeSpan.FromSeconds(1);

    long answered, refused;

    public void Answered() => Interlocked.Increment(ref answered);

    public void Refused() => Interlocked.Increment(ref refused);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(interval);
        long before = 0, since = Stopwatch.GetTimestamp();
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            long good = Interlocked.Read(ref answered), bad = Interlocked.Read(ref refused);
            long now = Stopwatch.GetTimestamp();
            if (good + bad > before)
                Progress(logger, good, bad, (good + bad - before) / Stopwatch.GetElapsedTime(since, now).TotalSeconds);
            (before, since) = (good + bad, now);
        }
    }

    [LoggerMessage(LogLevel.Information, "{Answered} requests answered, {Refused} refused, {Rate:N0} a second")]
    static partial void Progress(ILogger logger, long answered, long refused, double rate);
}
