using Microsoft.ML.BatchNorm.Tests.Transformer;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

[TestClass]
public class ThreadTests
{
    [TestMethod]
    [DataRow(MovingStatistics.Population)]
    [DataRow(MovingStatistics.Exponential)]
    [DataRow(MovingStatistics.Cumulative)]
    public void Any_number_of_threads_gives_the_same_bits(MovingStatistics kind)
    {
        IDataView view = Fits.Vectors(View.Floats(30_000, 17));
        BatchNormalizationState[] states = [.. new int?[] { 1, 2, 8, null }.Select(threads => Fits.Fit(view, options =>
        {
            options.Layer = BatchNormalizationOptions.Keras with { MovingStatistics = kind };
            options.BatchSize = 100;
            options.NumberOfThreads = threads;
        }))];
        foreach (BatchNormalizationState state in states)
            Assert.AreEqual(states[0], state);
    }

    [TestMethod]
    public void A_cached_view_and_a_streamed_one_give_the_same_bits()
    {
        IDataView view = Fits.Vectors(View.Floats(30_000, 17));
        Assert.AreEqual(Fits.Fit(view, _ => { }), Fits.Fit(View.ML.Data.Cache(view), _ => { }));
    }

    [TestMethod]
    public void Sixteen_fits_at_once_do_not_disturb_each_other()
    {
        IDataView view = Fits.Vectors(View.Floats(5000, 6));
        BatchNormalizationState expected = Fits.Fit(view, _ => { });
        var estimator = Fits.Estimator(_ => { });
        var states = new BatchNormalizationState[16];
        Thread[] threads = [.. Enumerable.Range(0, states.Length).Select(
            i => new Thread(() => states[i] = estimator.Fit(view).GetState("Y")))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        foreach (BatchNormalizationState state in states)
            Assert.AreEqual(expected, state);
    }

    // The pool is that of the whole process.
    [TestMethod]
    [DoNotParallelize]
    [DataRow(MovingStatistics.Population)]
    [DataRow(MovingStatistics.Exponential)]
    public void Fits_on_all_threads_of_the_pool_wait_for_no_other(MovingStatistics kind)
    {
        IDataView view = Fits.Vectors(View.Floats(500, 6));
        var estimator = Fits.Estimator(
            options => (options.Layer, options.NumberOfThreads) = (new() { MovingStatistics = kind }, 2));
        ThreadPool.GetMaxThreads(out int threads, out int ports);
        ThreadPool.GetAvailableThreads(out int free, out _);
        try
        {
            // Some are held by whoever runs the tests.
            Assert.IsTrue(ThreadPool.SetMaxThreads(Math.Max(threads - free + 2, Environment.ProcessorCount), ports));
            Task[] fits = [.. Enumerable.Range(0, 50).Select(_ => Task.Run(() => estimator.Fit(view)))];
            Assert.IsTrue(Task.WaitAll(fits, TimeSpan.FromSeconds(30)), "They wait for each other.");
        }
        finally
        {
            ThreadPool.SetMaxThreads(threads, ports);
        }
    }
}
