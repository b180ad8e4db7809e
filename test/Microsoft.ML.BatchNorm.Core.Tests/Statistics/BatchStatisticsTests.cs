namespace Microsoft.ML.BatchNorm.Tests.Statistics;

[TestClass]
public sealed class BatchStatisticsTests
{
    [TestMethod]
    public void Statistics_of_no_values_are_empty()
    {
        var statistics = new BatchStatistics(2);
        Assert.IsTrue(statistics.IsEmpty);
        Assert.AreEqual(0, statistics.Variance(1));
        Assert.ThrowsExactly<InvalidDataException>(() => statistics.Variance(1, VarianceConvention.Sample));
    }

    [TestMethod]
    public void Merging_with_an_empty_one_changes_no_bit_either_way()
    {
        var statistics = new BatchStatistics(11);
        statistics.Add(ChannelLayout.Features(9, 11), Sample.Doubles(99, 1, 1e100, 1e99));
        var copy = new BatchStatistics(11);
        copy.Merge(statistics);
        statistics.Merge(new BatchStatistics(11));
        Agreement.SameBits(statistics.Mean, copy.Mean);
        Agreement.SameBits(statistics.M2, copy.M2);
        Agreement.SameBits(statistics.Count, copy.Count);
    }

    [TestMethod]
    public void An_addition_that_fails_adds_nothing()
    {
        var statistics = new BatchStatistics(2);
        statistics.Add(ChannelLayout.Features(2, 2), new float[] { 1, 2, 3, 4 });
        Assert.ThrowsExactly<InvalidDataException>(
            () => statistics.Add(ChannelLayout.Features(2, 2), new float[] { 1, 2, float.NaN, 4 }));
        Agreement.SameBits<double>([2, 3], statistics.Mean);
        Agreement.SameBits<double>([2, 2], statistics.Count);
    }

    [TestMethod]
    public void Channels_that_differ_are_refused()
    {
        var statistics = new BatchStatistics(2);
        Assert.ThrowsExactly<ArgumentException>(() => statistics.Merge(new BatchStatistics(3)));
        Assert.ThrowsExactly<ArgumentException>(() => statistics.Add(ChannelLayout.Features(1, 3), new float[3]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => statistics.Variance(2));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new BatchStatistics(0));
    }

    [TestMethod]
    public void A_variance_beyond_a_double_is_an_error_and_no_infinity()
    {
        var statistics = new BatchStatistics(1);
        Assert.ThrowsExactly<InvalidDataException>(
            () => statistics.Add(ChannelLayout.Features(2, 1), new[] { 1e300, -1e300 }));
        Assert.IsTrue(statistics.IsEmpty);
    }
}
