namespace Microsoft.ML.BatchNorm.Tests.Collectives;

/// <summary>Statistics that several ranks fit together.</summary>
[TestClass]
public class RankFitTests
{
    const int Rows = 100_000, Channels = 8;

    static readonly BatchNormalizationOptions population = new()
    {
        MovingStatistics = MovingStatistics.Population,
        Epsilon = 0,
    };

    static readonly double[] x = Sample.Doubles(Rows * Channels, 1, 1e6, 1e-2);

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    [DataRow(4)]
    public void Statistics_of_many_rows_are_exact_with_the_same_bits_on_every_rank(int size)
    {
        ExactMoments exact = ExactMoments.Of(x, Channels, 1_000_000, 33);
        BatchNormalizationState one = Fit(new CpuEngine(1), x, 1_000);

        BatchNormalizationState[] ranks = ThreadCollective.Run(
            size, collective => Fit(new CpuEngine(1, collective), Share(collective), 1_000 - 13 * collective.Rank));

        foreach (BatchNormalizationState state in ranks)
        {
            Assert.AreEqual(ranks[0], state);
            exact.AssertClose(1e-14, state.GetPopulation()!);
        }
        for (int c = 0; c < Channels; c++)
        {
            Assert.AreEqual(1, ranks[0].MovingMean[c] / one.MovingMean[c], 1e-12);
            Assert.AreEqual(1, ranks[0].MovingVariance[c] / one.MovingVariance[c], 1e-12);
        }
        if (size == 1)
            Assert.AreEqual(one, ranks[0]);
    }

    [TestMethod]
    public void A_fit_of_ranks_goes_on_from_earlier_statistics_once()
    {
        BatchNormalizationState start = Fit(new CpuEngine(1), x, 1_000);
        double[] more = Sample.Doubles(300 * Channels, 2, 1e6, 1e-2);
        ExactMoments exact = ExactMoments.Of([.. x, .. more], Channels, 1_000_000, 33);

        BatchNormalizationState[] ranks = ThreadCollective.Run(3, collective =>
        {
            int length = more.Length / 3;
            return Fit(
                new CpuEngine(1, collective), more[(collective.Rank * length)..((collective.Rank + 1) * length)], start,
                40);
        });

        Assert.AreEqual(ranks[0], ranks[2]);
        exact.AssertClose(1e-14, ranks[0].GetPopulation()!);
        Assert.AreEqual(start.BatchesSeen + 9, ranks[1].BatchesSeen);
    }

    [TestMethod]
    public void A_rank_without_rows_takes_part()
    {
        BatchNormalizationState[] ranks = ThreadCollective.Run(3, collective => Fit(
            new CpuEngine(1, collective), collective.Rank == 1 ? x : [], 1_000));

        Assert.AreEqual(ranks[0], ranks[1]);
        Assert.AreEqual(Fit(new CpuEngine(1), x, 1_000).GetPopulation()!.M2[3], ranks[2].GetPopulation()!.M2[3]);
        BatchNormalizationState[] none =
            ThreadCollective.Run(2, collective => Fit(new CpuEngine(1, collective), [], 1_000));
        Assert.AreEqual(BatchNormalization.Initialize(population, Channels), none[1]);
    }

    [TestMethod]
    public void An_average_over_batches_is_refused()
    {
        NotSupportedException error = Assert.ThrowsExactly<NotSupportedException>(() => ThreadCollective.Run(
            2, collective => new CpuEngine(1, collective).StartFit(
                BatchNormalizationOptions.Keras, BatchNormalization.Initialize(BatchNormalizationOptions.Keras, 3))));

        Assert.Contains("MovingStatistics.Population", error.Message);
    }

    static double[] Share(ICollective ranks)
    {
        var share = new List<double>();
        for (int row = ranks.Rank; row < Rows; row += ranks.Size)
            share.AddRange(x.AsSpan(row * Channels, Channels));
        return [.. share];
    }

    static BatchNormalizationState Fit(CpuEngine engine, double[] values, int batch) =>
        Fit(engine, values, BatchNormalization.Initialize(population, Channels), batch);

    static BatchNormalizationState Fit(CpuEngine engine, double[] values, BatchNormalizationState start, int batch)
    {
        using IStatisticsFit fit = engine.StartFit(population, start);
        for (int row = 0; row < values.Length / Channels; row += batch)
        {
            int rows = Math.Min(batch, values.Length / Channels - row);
            fit.Add(new ChannelLayout([rows, Channels], 1), values.AsSpan(row * Channels, rows * Channels));
        }
        return fit.Complete();
    }
}
