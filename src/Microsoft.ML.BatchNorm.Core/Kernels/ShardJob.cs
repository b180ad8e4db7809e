namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// Work cut into items by the size of the data alone, never by the number of threads, each with results of its own:
/// this is what makes every result the same bits on any number of threads.
/// </summary>
interface IShardJob
{
    void Run(int item);
}

static class ShardJob
{
    /// <summary>
    /// Elements in an item: large against the cost of a hand-over, small against a thread's fair share.
    /// </summary>
    public const int ItemElements = 1 << 18;

    public static void Run<TJob>(TJob job, int items, int threads) where TJob : struct, IShardJob
    {
        if (threads <= 1 || items <= 1)
        {
            for (int item = 0; item < items; item++)
                job.Run(item);
        }
        else
        {
            Parallel.For(0, items, new ParallelOptions { MaxDegreeOfParallelism = threads }, job.Run);
        }
    }
}
