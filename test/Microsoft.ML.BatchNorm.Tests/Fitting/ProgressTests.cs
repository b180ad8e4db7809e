using System.Reflection;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>What a fit tells while it runs, and when it ends.</summary>
[TestClass]
public class ProgressTests
{
    [TestMethod]
    public void Progress_tells_epochs_and_rows()
    {
        var context = new MLContext(1);
        var seen = new List<(long Read, ProgressReporting.ProgressEvent Told)>();
        GeneratedView view = null!;
        view = new GeneratedView(2, 1000, Fill, row =>
        {
            ProgressReporting.ProgressEvent[] running = row is 0 or 500 ? Running(context) : [];
            if (row == 500)
                seen.AddRange(running.Select(told => (view.Read, told)));
        });
        Fits.Estimator(
            options => (options.Layer, options.Epochs, options.BatchSize) = (new() { Momentum = 0.1 }, 3, 10),
            context).Fit(view);

        Assert.AreEqual(3, seen.Count);
        for (int epoch = 0; epoch < 3; epoch++)
        {
            (long read, ProgressReporting.ProgressEvent told) = seen[epoch];
            StringAssert.EndsWith(told.Name, "Batch normalization");
            ProgressReporting.ProgressEntry entry = told.ProgressEntry;
            CollectionAssert.AreEqual((string[])["epochs", "rows"], entry.Header.UnitNames.ToArray());
            CollectionAssert.AreEqual((double?[])[epoch, read - 1000 * epoch - 1], entry.Progress);
            CollectionAssert.AreEqual((double?[])[3, 1000], entry.ProgressLim);
        }
        Assert.AreEqual(0, Running(context).Length, "The progress channel is still open.");
    }

    [TestMethod]
    public void Without_a_known_number_of_rows_there_is_no_limit()
    {
        var context = new MLContext(1);
        ProgressReporting.ProgressEntry? entry = null;
        var view = new GeneratedView(2, rows: null, Fill, row =>
        {
            if (row == 0)
                Running(context);
            if (row == 500)
            {
                entry = Running(context).Single().ProgressEntry;
                context.CancelExecution();
            }
        });
        Assert.ThrowsExactly<OperationCanceledException>(() => Fits.Estimator(_ => { }, context).Fit(view));
        CollectionAssert.AreEqual((double?[])[1, null], entry!.ProgressLim);
        Assert.AreEqual(500, entry.Progress[1]);
        Assert.AreEqual(0, Running(context).Length, "The progress channel is still open.");
    }

    [TestMethod]
    public void A_large_share_of_the_initializer_is_on_the_transformer_and_warned_of()
    {
        float[][] rows = View.Floats(200, 2);
        (double weight, string[] warnings) = Fit(rows, new() { Momentum = 0.99 });
        Assert.AreEqual(Math.Pow(0.99, 10), weight, 1e-12);
        Assert.AreEqual(1, warnings.Length);
        StringAssert.Contains(warnings[0], "Column 'Y'");
        StringAssert.Contains(warnings[0], "90 %");
    }

    [TestMethod]
    public void A_small_share_and_exact_statistics_are_not_warned_of()
    {
        float[][] rows = View.Floats(200, 2);
        (double weight, string[] warnings) = Fit(rows, new() { Momentum = 0.7 });
        Assert.AreEqual(Math.Pow(0.7, 10), weight, 1e-12);
        Assert.AreEqual(0, warnings.Length);
        foreach (MovingStatistics kind in
            (MovingStatistics[])[MovingStatistics.Cumulative, MovingStatistics.Population])
        {
            (weight, warnings) = Fit(rows, new() { MovingStatistics = kind });
            Assert.AreEqual(0, weight);
            Assert.AreEqual(0, warnings.Length);
        }
    }

    static (double InitialWeight, string[] Warnings) Fit(float[][] rows, BatchNormalizationOptions layer)
    {
        var context = new MLContext(1);
        List<string> warnings = Warnings.Of(context);
        double weight = Fits.Estimator(options => (options.Layer, options.BatchSize) = (layer, 20), context)
            .Fit(Fits.Vectors(rows)).InitialWeight;
        return (weight, [.. warnings]);
    }

    /// <summary>
    /// What the channels that are open tell now, as ML.NET's own console would ask them. At its first question ML.NET
    /// tells of a channel only that it started.
    /// </summary>
    static ProgressReporting.ProgressEvent[] Running(MLContext context)
    {
        IHostEnvironment environment = CatalogUtils.GetEnvironment(context.Transforms);
        FieldInfo field = environment.GetType().GetField(
            "ProgressTracker", BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.FlattenHierarchy)!;
        return [.. ((ProgressReporting.ProgressTracker)field.GetValue(environment)!).GetAllProgress()
            .Where(told => told.Kind == ProgressReporting.ProgressEvent.EventKind.Progress)];
    }

    static void Fill(long row, Span<float> values) => values.Fill(row);
}
