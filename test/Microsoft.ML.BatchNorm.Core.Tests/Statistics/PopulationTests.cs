namespace Microsoft.ML.BatchNorm.Tests.Statistics;

/// <summary>Exact statistics of a whole data set, whatever way it comes.</summary>
[TestClass]
public sealed class PopulationTests
{
    const int Rows = 1_000_000, Channels = 3;

    /// <summary>Columns of mean 10 ± 1, 1e4 ± 0.1 and a sorted one from 5 to 6.</summary>
    static readonly float[] X = Rows3();
    static readonly (double[] Mean, double[] Variance) Exact = TwoPass(X);

    static float[] Rows3()
    {
        float[] a = Sample.Floats(Rows, 1, 10, 1), b = Sample.Floats(Rows, 2, 1e4, 0.1);
        float[] x = new float[Rows * Channels];
        for (int row = 0; row < Rows; row++)
        {
            x[Channels * row] = a[row];
            x[Channels * row + 1] = b[row];
            x[Channels * row + 2] = 5 + (float)row / Rows;
        }
        return x;
    }

    static (double[] Mean, double[] Variance) TwoPass(float[] x)
    {
        // decimal holds every float of these sizes and their sums exactly, so this is right to the last digit.
        double[] means = new double[Channels], variances = new double[Channels];
        for (int c = 0; c < Channels; c++)
        {
            decimal sum = 0, squares = 0;
            for (int i = c; i < x.Length; i += Channels)
                sum += (decimal)(double)x[i];
            decimal mean = sum / Rows;
            for (int i = c; i < x.Length; i += Channels)
                squares += ((decimal)(double)x[i] - mean) * ((decimal)(double)x[i] - mean);
            means[c] = (double)mean;
            variances[c] = (double)(squares / Rows);
        }
        return (means, variances);
    }

    static void IsExact(BatchStatistics statistics)
    {
        for (int c = 0; c < Channels; c++)
        {
            Assert.AreEqual(Rows, statistics.Count[c]);
            Assert.AreEqual(1, statistics.Mean[c] / Exact.Mean[c], 1e-12, $"mean of column {c}");
            Assert.AreEqual(1, statistics.Variance(c) / Exact.Variance[c], 1e-12, $"variance of column {c}");
        }
    }

    static BatchStatistics Fit(ReadOnlySpan<float> x, int batchRows, int threads = 1)
    {
        var statistics = new BatchStatistics(Channels);
        for (int at = 0; at < x.Length; at += batchRows * Channels)
        {
            ReadOnlySpan<float> batch = x.Slice(at, Math.Min(batchRows * Channels, x.Length - at));
            statistics.Add(ChannelLayout.Features(batch.Length / Channels, Channels), batch, threads: threads);
        }
        return statistics;
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(7)]
    [DataRow(256)]
    [DataRow(4096)]
    [DataRow(Rows)]
    public void A_million_rows_equal_the_two_pass_value_for_any_batch_size(int batchRows) => IsExact(Fit(X, batchRows));

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(8)]
    public void A_million_rows_equal_the_two_pass_value_on_any_number_of_threads(int threads) =>
        IsExact(Fit(X, Rows, threads));

    [TestMethod]
    public void A_million_rows_equal_the_two_pass_value_in_any_order()
    {
        float[] shuffled = new float[X.Length];
        int[] order = [.. Enumerable.Range(0, Rows)];
        new Random(3).Shuffle(order);
        for (int row = 0; row < Rows; row++)
            X.AsSpan(Channels * order[row], Channels).CopyTo(shuffled.AsSpan(Channels * row));
        IsExact(Fit(shuffled, 1000));
    }

    [TestMethod]
    [DataRow(2)]
    [DataRow(7)]
    [DataRow(1000)]
    public void A_million_rows_equal_the_two_pass_value_merged_from_any_number_of_shards(int shards)
    {
        BatchStatistics[] parts = new BatchStatistics[shards];
        Parallel.For(0, shards, shard =>
        {
            int from = (int)((long)Rows * shard / shards), to = (int)((long)Rows * (shard + 1) / shards);
            parts[shard] = Fit(X.AsSpan(from * Channels, (to - from) * Channels), 500);
        });
        var merged = new BatchStatistics(Channels);
        foreach (BatchStatistics part in parts.Reverse())
            merged.Merge(part);
        IsExact(merged);
    }

    [TestMethod]
    public void A_layer_of_the_population_kind_holds_the_statistics_of_all_it_has_seen()
    {
        var options = new BatchNormalizationOptions { MovingStatistics = MovingStatistics.Population };
        BatchNormalizationState state = BatchNormalization.Initialize(options, Channels);
        const int batchRows = 5000;
        for (int row = 0; row < Rows; row += batchRows)
        {
            state = BatchNormalization.UpdateMovingStatistics(
                options, state, ChannelLayout.Features(batchRows, Channels),
                X.AsSpan(row * Channels, batchRows * Channels));
        }
        for (int c = 0; c < Channels; c++)
        {
            Assert.AreEqual(1, state.MovingMean[c] / Exact.Mean[c], 1e-12);
            Assert.AreEqual(1, state.MovingVariance[c] / Exact.Variance[c], 1e-12);
        }
        Assert.AreEqual(0, state.InitialWeight);
        Assert.AreEqual(Rows / batchRows, state.BatchesSeen);
        IsExact(state.GetPopulation()!);
    }

    [TestMethod]
    public void The_sample_convention_divides_by_one_less()
    {
        var options = BatchNormalizationOptions.PyTorch with { MovingStatistics = MovingStatistics.Population };
        BatchNormalizationState state = BatchNormalization.Initialize(options, 1);
        foreach (float[] batch in new[] { new float[] { 1, 2 }, [3, 4, 5] })
            state = BatchNormalization.UpdateMovingStatistics(
                options, state, ChannelLayout.Features(batch.Length, 1), batch);
        Assert.AreEqual(3, state.MovingMean[0], 1e-15);
        Assert.AreEqual(2.5, state.MovingVariance[0], 1e-15);
    }

    [TestMethod]
    public void A_column_of_doubles_with_mean_1e6_and_deviation_1e_minus_2_keeps_its_digits()
    {
        double[] x = Sample.Doubles(Rows, 1, 1e6, 1e-2);
        decimal mean = x.Aggregate(0m, (sum, value) => sum + Exactly(value)) / Rows;
        decimal squares = x.Aggregate(0m, (sum, value) => sum + (Exactly(value) - mean) * (Exactly(value) - mean));
        foreach (int[] shape in new[] { new[] { Rows, 1 }, [1000, 1, 1000], [1, 1, Rows] })
        {
            var statistics = new BatchStatistics(1);
            statistics.Add(new ChannelLayout(shape, axis: 1), x);
            Assert.AreEqual(1, statistics.Mean[0] / (double)mean, 1e-15);
            Assert.AreEqual(
                1, statistics.Variance(0) / (double)(squares / Rows), 1e-12, $"[{string.Join(", ", shape)}]");
        }

        // (decimal)double keeps 15 digits only; a double around 1e6 is a whole multiple of 2⁻³³.
        static decimal Exactly(double value) => (decimal)(long)(value * (1L << 33)) / (1L << 33);
    }

    [TestMethod]
    public void Outliers_at_the_start_of_the_data_cost_no_digits()
    {
        float[] x = Sample.Floats(Rows, 1);
        for (int i = 0; i < 40; i++)
            x[i] = -1e9f;
        double[] wide = Sample.Widen(x);
        double mean =
            wide.Aggregate(0m, (sum, value) => sum + (decimal)value) is var total ? (double)(total / Rows) : 0;
        double m2 = wide.Sum(value => (value - mean) * (value - mean));
        foreach (int[] shape in new[] { new[] { Rows, 1 }, [1000, 1, 1000], [1, 1, Rows] })
        {
            var statistics = new BatchStatistics(1);
            statistics.Add(new ChannelLayout(shape, axis: 1), x);
            Assert.AreEqual(1, statistics.Mean[0] / mean, 1e-12);
            Assert.AreEqual(1, statistics.M2[0] / m2, 1e-12);
        }
    }
}
