namespace Microsoft.ML.BatchNorm.Tests.Pipelines;

/// <summary>Threads at once, any of whose failures is the test's.</summary>
static class Threads
{
    public static void Run(int count, Action<int> work)
    {
        var failures = new List<Exception>();
        Thread[] threads = [.. Enumerable.Range(0, count).Select(thread => new Thread(() =>
        {
            try
            {
                work(thread);
            }
            catch (Exception error)
            {
                lock (failures)
                    failures.Add(error);
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        Assert.AreEqual(0, failures.Count, failures.FirstOrDefault()?.ToString());
    }
}
