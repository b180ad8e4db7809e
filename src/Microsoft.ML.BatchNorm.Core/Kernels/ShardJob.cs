namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Work that is cut into items by the size of the data, never by the number of threads. Each item has results of its
/// own, so that all results have the same bits on any number of threads.
/// </summary>
interface IShardJob
{
    void Run(int item);
}

static class ShardJob
{
    /// <summary>
    /// The elements of an item: many compared with the cost of handing it to a thread, few compared with a thread's
    /// share.
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
