namespace Microsoft.ML.BatchNorm.Tests.Statistics;

/// <summary>A fit of the core's engine is the core's own statistics, batch by batch, under a mask or not.</summary>
[TestClass]
public class StatisticsFitTests
{
    static IEnumerable<object[]> Kinds =>
        from moving in Enum.GetValues<MovingStatistics>()
        from isMasked in (bool[])[false, true]
        select new object[] { moving, isMasked };

    [TestMethod]
    [DynamicData(nameof(Kinds))]
    public void A_fit_has_the_bits_of_the_batches_one_by_one(MovingStatistics moving, bool isMasked)
    {
        var options = new BatchNormalizationOptions { MovingStatistics = moving, Axis = 1 };
        var layout = new ChannelLayout([6, 3, 5], 1);
        BatchNormalizationState state = Sample.State(options, 3), moved = state;
        var population = new BatchStatistics(3);
        using IStatisticsFit fit = new CpuEngine(threads: 2).StartFit(options, state);
        for (int batch = 0; batch < 4; batch++)
        {
            float[] singles = Sample.Floats(layout.Count, batch, mean: 2);
            double[] doubles = Sample.Doubles(layout.Count, batch + 10, mean: 2);
            bool[] mask = isMasked ? Sample.Mask(layout.Positions, batch) : [];
            fit.Add(layout, singles, mask);
            fit.Add(layout, doubles, mask);
            moved = BatchNormalization.UpdateMovingStatistics(options, moved, layout, singles, mask);
            moved = BatchNormalization.UpdateMovingStatistics(options, moved, layout, doubles, mask);
            population.Add(layout, singles, mask);
            population.Add(layout, doubles, mask);
        }
        BatchNormalizationState expected =
            moving == MovingStatistics.Population ? state.WithPopulation(population, batches: 8) : moved;
        Assert.AreEqual(expected, fit.Complete());
    }

    [TestMethod]
    [DataRow(MovingStatistics.Population)]
    [DataRow(MovingStatistics.Exponential)]
    [DataRow(MovingStatistics.Cumulative)]
    public void A_batch_that_is_hidden_whole_changes_nothing(MovingStatistics moving)
    {
        var options = new BatchNormalizationOptions { MovingStatistics = moving };
        BatchNormalizationState state = Sample.State(options, 2);
        using IStatisticsFit fit = new CpuEngine().StartFit(options, state);
        fit.Add(ChannelLayout.Features(2, 2), [float.NaN, 1, 2, 3], [false, false]);
        Assert.AreSame(state, fit.Complete());
        Assert.ThrowsExactly<ArgumentException>(
            () => fit.Add(ChannelLayout.Features(2, 2), [1f, 1, 2, 3], [true, true, true]));
        Assert.ThrowsExactly<InvalidDataException>(
            () => fit.Add(ChannelLayout.Features(2, 2), [float.NaN, 1, 2, 3], [true, false]));
        Assert.AreSame(state, fit.Complete());
    }

    [TestMethod]
    public void Drift_is_that_of_the_rows_that_a_mask_keeps()
    {
        BatchNormalizationState state = Sample.State(new(), 4);
        float[] x = Sample.Floats(60 * 4, 1);
        bool[] mask = Sample.Mask(60, 2);
        float[] kept = [.. x.Chunk(4).Where((_, row) => mask[row]).SelectMany(row => row)];
        DriftStatistics masked = new(state), whole = new(state);
        masked.Add<float>(ChannelLayout.Features(60, 4), x, mask, NonFinite.Throw, threads: 1);
        whole.Add(ChannelLayout.Features(kept.Length / 4, 4), kept);
        DriftReport expected = whole.Compare(), actual = masked.Compare();
        for (int c = 0; c < 4; c++)
        {
            Assert.AreEqual(expected.Channels[c].PValue, actual.Channels[c].PValue, 1e-12);
            Assert.AreEqual(expected.Channels[c].VariancePValue, actual.Channels[c].VariancePValue, 1e-12);
        }
    }
}
