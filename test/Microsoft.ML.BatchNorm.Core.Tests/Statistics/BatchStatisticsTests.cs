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
    public void Statistics_from_elsewhere_keep_their_bits_and_a_channel_without_values_is_empty()
    {
        var statistics = new BatchStatistics([2, 0], [1.5, 7], [0.5, 0], [1e-17, 0], [-1e-18, 0]);
        Agreement.SameBits<double>([2, 0], statistics.Count);
        Agreement.SameBits<double>([1.5, 0], statistics.Mean);
        Agreement.SameBits<double>([0.5, 0], statistics.M2);
        Agreement.SameBits<double>([1e-17, 0], statistics.MeanRest);
        Agreement.SameBits<double>([-1e-18, 0], statistics.M2Rest);
        Agreement.SameBits<double>([0, 0], new BatchStatistics([2, 3], [1, 2], [1, 2]).MeanRest);
    }

    [TestMethod]
    public void Statistics_from_elsewhere_that_cannot_be_are_refused_by_name_and_channel()
    {
        Fails("count of channel 1 is 1.5", [2, 1.5], [1, 1], [1, 1]);
        Fails("count of channel 0 is -1", [-1, 2], [1, 1], [1, 1]);
        Fails("mean of channel 1 is NaN", [2, 2], [1, double.NaN], [1, 1]);
        Fails("m2 of channel 0 is -1", [2, 2], [1, 1], [-1, 1]);
        Fails("m2 has 3 values for 2 channels", [2, 2], [1, 1], [1, 1, 1]);
        Fails("meanRest of channel 1 is 0.001", [2, 2], [1, 1], [1, 1], [0, 1e-3]);
        Fails("m2Rest has 1 values for 2 channels", [2, 2], [1, 1], [1, 1], [], [0]);

        static void Fails(
            string fragment, double[] count, double[] mean, double[] m2, double[]? meanRest = null,
            double[]? m2Rest = null) =>
            StringAssert.Contains(
                Assert.ThrowsExactly<ArgumentException>(
                    () => new BatchStatistics(count, mean, m2, meanRest, m2Rest)).Message, fragment);
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
