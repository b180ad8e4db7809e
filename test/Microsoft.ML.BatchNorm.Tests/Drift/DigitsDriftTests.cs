using Microsoft.ML.BatchNorm.Tests.Fitting;
using Microsoft.ML.BatchNorm.Tests.Pipelines;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Drift;

/// <summary>The handwritten digits: pixels that are mostly 0, rarely inked, or always blank.</summary>
[TestClass]
public class DigitsDriftTests
{
    const int TrainRows = 1437;

    [TestMethod]
    public void Of_a_hundred_random_held_out_splits_three_at_most_are_flagged_at_one_percent()
    {
        int alarms = Enumerable.Range(1, 100).Count(seed => Report(seed, TrainRows, pixel => pixel).IsDrift(0.01));
        Assert.IsTrue(alarms <= 3, $"{alarms} false alarms");
    }

    [TestMethod]
    [DataRow(20)]
    [DataRow(1777)]
    public void Nor_are_more_where_either_side_has_twenty_rows(int trainRows)
    {
        int alarms = Enumerable.Range(1, 100).Count(seed => Report(seed, trainRows, pixel => pixel).IsDrift(0.01));
        Assert.IsTrue(alarms <= 3, $"{alarms} false alarms");
    }

    [TestMethod]
    public void Another_exposure_is_flagged_in_every_split()
    {
        for (int seed = 1; seed <= 20; seed++)
        {
            DriftReport report = Report(seed, TrainRows, pixel => 0.5f * pixel + 3);
            Assert.IsTrue(report.PValue < 1e-100, $"seed {seed}: {report}");
            Assert.IsTrue(report.Drifted().Count > 50, $"seed {seed}: {report}");
        }
    }

    [TestMethod]
    [DataRow(0.8f, 0)]
    [DataRow(1, 0.5f)]
    public void A_small_change_of_the_exposure_is_flagged_in_every_split(float gain, float haze)
    {
        for (int seed = 1; seed <= 20; seed++)
        {
            DriftReport report = Report(seed, TrainRows, pixel => gain * pixel + haze);
            Assert.IsTrue(report.IsDrift(0.001), $"seed {seed}: {report}");
        }
    }

    [TestMethod]
    public void Pixels_that_change_are_the_first_of_the_report()
    {
        float[][] rows = Shuffled(1);
        BatchNormalizationTransformer layer = Fits.Estimator(_ => { }).Fit(Fits.Vectors(rows[..TrainRows]));
        float[][] dead =
            [.. rows[TrainRows..].Select(row => (float[])[.. row[..20], 0, .. row[21..36], 16, .. row[37..]])];
        DriftReport report = layer.CompareStatistics(Fits.Vectors(dead))["Y"];
        CollectionAssert.AreEquivalent((int[])[20, 36], report.Drifted().Select(channel => channel.Channel).ToArray());
    }

    static DriftReport Report(int seed, int trainRows, Func<float, float> exposure)
    {
        float[][] rows = Shuffled(seed);
        BatchNormalizationTransformer layer = Fits.Estimator(_ => { }).Fit(Fits.Vectors(rows[..trainRows]));
        float[][] exposed = [.. rows[trainRows..].Select(row => Array.ConvertAll(row, pixel => exposure(pixel)))];
        return layer.CompareStatistics(Fits.Vectors(exposed))["Y"];
    }

    static float[][] Shuffled(int seed)
    {
        float[][] rows = [.. Digits.Pixels];
        new Random(seed).Shuffle(rows);
        return rows;
    }
}
