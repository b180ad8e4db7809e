namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>
/// Memory does not grow with the rows. Alone in the process, since what all threads allocate is counted.
/// </summary>
[TestClass]
[DoNotParallelize]
public class StreamingTests
{
    const long Rows = 20_000_000;
    const int Length = 4;

    /// <summary>
    /// The rows are 320 MB as values alone. Each batch of an average leaves its state to the collector.
    /// </summary>
    const long MostHeld = 8 << 20, MostAllocated = 64 << 20;

    [TestMethod]
    [DataRow(MovingStatistics.Population)]
    [DataRow(MovingStatistics.Exponential)]
    public void Twenty_million_rows_are_fitted_in_8_megabytes(MovingStatistics kind)
    {
        long liveAtMost = 0, live = GC.GetTotalMemory(forceFullCollection: true);
        var view = new GeneratedView(Length, Rows, Fill, row =>
        {
            if (row % (Rows / 20) == 0)
                liveAtMost = Math.Max(liveAtMost, GC.GetTotalMemory(forceFullCollection: true));
        });
        long before = GC.GetTotalAllocatedBytes(precise: true);
        BatchNormalizationState state = Fits.Fit(view, BatchNormalizationOptions.Keras with { MovingStatistics = kind });
        long allocated = GC.GetTotalAllocatedBytes(precise: true) - before;

        Assert.IsTrue(allocated < MostAllocated, $"{allocated:N0} bytes were allocated.");
        Assert.IsTrue(liveAtMost - live < MostHeld, $"{liveAtMost - live:N0} bytes were held at once.");
        Assert.AreEqual(Rows, view.Read);
        Assert.AreEqual((1, 1), view.Cursors);
        for (int slot = 0; slot < Length; slot++)
        {
            Assert.AreEqual(slot + 3.5, state.MovingMean[slot], 1e-9);
            Assert.AreEqual(5.25, state.MovingVariance[slot], 1e-9);
        }
    }

    /// <summary>Every batch of whole eights has the mean slot + 3.5 and the variance 5.25.</summary>
    static void Fill(long row, Span<float> values)
    {
        for (int slot = 0; slot < values.Length; slot++)
            values[slot] = row % 8 + slot;
    }
}
