namespace Microsoft.ML.BatchNorm.Tests.Networks;

/// <summary>The threads of a session.</summary>
[TestClass]
public sealed class WorkerThreadsTests
{
    [TestMethod]
    public void Every_item_is_done_once_whether_the_workersspin_or_sleep()
    {
        foreach (int threads in new[] { 1, 2, 5 })
        {
            using var workers = new WorkerThreads(threads);
            int[] done = new int[100];
            Action<int> work = item => Interlocked.Increment(ref done[item]);
            for (int round = 1; round <= 2000; round++)
            {
                int items = round * 31 % 101;
                Array.Clear(done);
                workers.Run(items, work);
                for (int item = 0; item < 100; item++)
                    Assert.AreEqual(item < items ? 1 : 0, done[item], $"{threads} threads, round {round}, item {item}");
                if (round % 500 == 0)
                    Thread.Sleep(20);
            }
        }
    }

    [TestMethod]
    public void An_error_is_thrown_when_all_items_are_done_and_the_team_goes_on()
    {
        foreach (int threads in new[] { 2, 4 })
        {
            using var workers = new WorkerThreads(threads);
            int done = 0;
            for (int round = 0; round < 50; round++)
            {
                done = 0;
                Assert.ThrowsExactly<InvalidDataException>(() => workers.Run(20, item =>
                {
                    Interlocked.Increment(ref done);
                    if (item % 3 == 1)
                        throw new InvalidDataException();
                }));
                Assert.AreEqual(20, done);
                workers.Run(20, _ => Interlocked.Decrement(ref done));
                Assert.AreEqual(0, done);
            }
        }
    }

    [TestMethod]
    public void Threads_end_when_the_team_is_disposed_of_at_once()
    {
        for (int round = 0; round < 50; round++)
        {
            var workers = new WorkerThreads(3);
            if (round % 2 == 0)
                workers.Run(7, _ => { });
            workers.Dispose();
        }
    }
}
