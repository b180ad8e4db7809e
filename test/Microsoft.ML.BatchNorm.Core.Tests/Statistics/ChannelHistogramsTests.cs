using Microsoft.ML.BatchNorm.Tests.Drift;
using Microsoft.ML.BatchNorm.Tests.Persistence;

namespace Microsoft.ML.BatchNorm.Tests.Statistics;

[TestClass]
public class ChannelHistogramsTests
{
    [TestMethod]
    public void The_bins_of_the_grid_follow_one_another_and_are_the_same_on_both_sides_of_the_mean()
    {
        double[] edges = [.. Enumerable.Range(0, ChannelHistograms.Bins - 2).Select(ChannelHistograms.LowerEdge)];
        Assert.AreEqual(100, ChannelHistograms.Bins);
        Assert.AreEqual(
            (double.NegativeInfinity, -8, 0, 1 / 32.0, 8), (edges[0], edges[1], edges[49], edges[50], edges[97]));
        for (int i = 1; i < edges.Length; i++)
        {
            Assert.IsTrue(edges[i] > edges[i - 1]);
            Assert.AreEqual(edges[i], -edges[^i]);
        }
        var unit = new ChannelHistograms([0.0], [1.0]);
        for (int bin = 1; bin < edges.Length; bin++)
        {
            Assert.AreEqual(bin, unit.BinOf(0, edges[bin] + 1e-12));
            Assert.AreEqual(bin - 1, unit.BinOf(0, edges[bin] - 1e-12));
        }
        Assert.AreEqual((0, 97), (unit.BinOf(0, -1e300), unit.BinOf(0, 1e300)));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => ChannelHistograms.LowerEdge(98));
    }

    /// <summary>Any scale and any offset: standard normal values lie in the bins of their z.</summary>
    [TestMethod]
    [DataRow(0, 1e-30)]
    [DataRow(0, 1e30)]
    [DataRow(0, 1e-150)]
    [DataRow(1e6, 1e-2)]
    [DataRow(-1e6, 1e-2)]
    [DataRow(1e30, 1e20)]
    public void The_grid_fits_any_scale_and_offset(double mean, double deviation)
    {
        double[] z = Sample.Doubles(5000, 1), x = Array.ConvertAll(z, value => mean + deviation * value);
        ReadOnlySpan<double> counts = Counted(x, 1).CountsOf(0);
        int filled = counts.ToArray().Count(count => count > 50);
        Assert.IsTrue(filled > 30, $"{filled}");
        double below = 0;
        foreach (double count in counts[..49])
            below += count;
        Assert.AreEqual(2500, below, 120);
    }

    [TestMethod]
    public void Zeros_missing_values_and_constants_have_bins_of_their_own()
    {
        ChannelHistograms histograms = Counted([0, double.NaN, 1, double.PositiveInfinity, -0.0, 2], 1);
        Assert.AreEqual((2.0, 2.0), (histograms.CountsOf(0)[98], histograms.CountsOf(0)[99]));
        Assert.AreEqual(4, histograms.FiniteCount(0));

        ChannelHistograms constant = Counted([0.1f, 0.1f, 0.1f], 1);
        Assert.AreEqual(0, constant.Deviation[0]);
        Assert.AreEqual(3, constant.CountsOf(0)[49]);
        constant.Add(ChannelLayout.Features(4, 1), (double[])[0.1f - 1e-9, 0.1f, 0.1f + 1e-9, 5]);
        Assert.AreEqual((1.0, 4.0, 2.0), (constant.CountsOf(0)[0], constant.CountsOf(0)[49], constant.CountsOf(0)[97]));
    }

    /// <summary>Eight values are counted at a time where there are as many, in rows and in runs of a channel.</summary>
    [TestMethod]
    public void Values_lie_in_the_same_bins_alone_and_beside_others()
    {
        double[] means = [0, 1, -3e8, 1e-300, 1e300, 0, 5, 5, -1, 0, 2],
            deviations = [1, 0, 1, 1e-310, 1e299, double.Epsilon, 0.5, 1e-17, 1e9, 1e-30, 3];
        double[] values =
        [
            0, -0.0, 1, -1, 5, double.NaN, double.PositiveInfinity, double.NegativeInfinity, double.MaxValue,
            double.MinValue, double.Epsilon, -double.Epsilon, 1e-300, -3e8, -3e8 + 1, 1e300, 7.9, 8, 8.1, -0.5, 0.03125,
            .. Enumerable.Range(0, ChannelHistograms.Zero).Select(ChannelHistograms.LowerEdge),
        ];
        int channels = means.Length;
        ChannelHistograms alone = new(means, deviations), rows = alone.NewEmpty(), runs = alone.NewEmpty();
        for (int c = 0; c < channels; c++)
        {
            foreach (double value in values)
            {
                // The mask leaves one value per channel, which is counted by itself.
                double[] row = new double[2 * channels];
                row[2 * c] = value;
                alone.Add(new ChannelLayout([1, channels, 2], 1), row, [true, false]);
            }
        }
        foreach (double value in values)
            rows.Add(ChannelLayout.Features(1, channels), Enumerable.Repeat(value, channels).ToArray());
        runs.Add(
            new ChannelLayout([1, channels, values.Length], 1),
            Enumerable.Repeat(values, channels).SelectMany(x => x).ToArray());

        CollectionAssert.AreEqual(rows.Counts.ToArray(), runs.Counts.ToArray());
        // The other channels of the single values are zeros.
        double[] expected = alone.Counts.ToArray();
        for (int c = 0; c < channels; c++)
            expected[c * ChannelHistograms.Bins + ChannelHistograms.Zero] -= (channels - 1) * values.Length;
        CollectionAssert.AreEqual(expected, rows.Counts.ToArray());
        Assert.AreEqual(values.Length * channels, expected.Sum());
    }

    [TestMethod]
    public void Counts_do_not_depend_on_blocks_order_layout_or_merging()
    {
        float[] x = Sample.Floats(600 * 7, 1);
        ChannelHistograms whole = Grid(), parts = Grid(), other = Grid(), images = Grid();
        whole.Add(ChannelLayout.Features(600, 7), x);
        for (int row = 599; row >= 300; row--)
            parts.Add(ChannelLayout.Features(1, 7), x.AsSpan(row * 7, 7));
        other.Add(ChannelLayout.Features(300, 7), x.AsSpan(0, 2100));
        parts.Merge(other);
        float[] channelsFirst = [.. Enumerable.Range(0, 4200).Select(i => x[i % 600 * 7 + i / 600])];
        images.Add(new ChannelLayout([1, 7, 600], 1), channelsFirst);
        CollectionAssert.AreEqual(whole.Counts.ToArray(), parts.Counts.ToArray());
        CollectionAssert.AreEqual(whole.Counts.ToArray(), images.Counts.ToArray());

        bool[] mask = [.. Enumerable.Range(0, 600).Select(row => row >= 300)];
        ChannelHistograms masked = Grid();
        masked.Add(ChannelLayout.Features(600, 7), x, mask);
        masked.Merge(other);
        CollectionAssert.AreEqual(whole.Counts.ToArray(), masked.Counts.ToArray());

        ChannelHistograms Grid() => new(new double[7], [.. Enumerable.Repeat(1.0, 7)]);
    }

    [TestMethod]
    public void Only_counts_of_one_grid_merge_and_only_counts_of_a_state_s_values_become_its_histograms()
    {
        BatchNormalizationState state = HistogramDriftTests.State([1, 2, 3, 4], ChannelLayout.Features(4, 1));
        ChannelHistograms own = state.GetHistograms()!;
        Assert.ThrowsExactly<ArgumentException>(() => own.Merge(new ChannelHistograms([2.5], [1.0])));
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => state.WithHistograms(own.NewEmpty())).Message,
            "count 0 values, its exact statistics 4");
        Assert.ThrowsExactly<ArgumentException>(
            () => new BatchNormalizationState([0.0], [1.0]).WithHistograms(own.NewEmpty()));
        Assert.ThrowsExactly<ArgumentException>(() => new ChannelHistograms([0.0], [1.0], new double[3]));
        Assert.ThrowsExactly<ArgumentException>(() => new ChannelHistograms([0.0], [-1.0]));
        // The state's own do not change with the copy.
        own.Add(ChannelLayout.Features(1, 1), (double[])[1]);
        Assert.AreEqual(4, state.GetHistograms()!.FiniteCount(0));
    }

    [TestMethod]
    public void What_moves_the_statistics_drops_the_histograms_and_what_does_not_keeps_them()
    {
        BatchNormalizationState state = HistogramDriftTests.State([1, 2, 3, 4], ChannelLayout.Features(4, 1));
        Assert.IsNotNull(state.WithAffine([2], [1]).GetHistograms());
        Assert.IsNotNull(state.WithMovingVariance([0]).GetHistograms());
        Assert.IsNull(state.WithPopulation(state.GetPopulation()!).GetHistograms());
        foreach (MovingStatistics kind in Enum.GetValues<MovingStatistics>())
        {
            Assert.IsNull(BatchNormalization.UpdateMovingStatistics(
                BatchNormalizationOptions.Keras with { MovingStatistics = kind, Scale = false, Center = false }, state,
                ChannelLayout.Features(2, 1), (float[])[1, 2]).GetHistograms());
        }
    }

    [TestMethod]
    public void They_are_saved_and_damage_is_found()
    {
        BatchNormalizationState state =
            HistogramDriftTests.State([1, 2, double.NaN, 4, 0, 7], ChannelLayout.Features(3, 2));
        byte[] file = States.Save(state);
        BatchNormalizationState loaded = States.Load(file);
        Assert.AreEqual(state, loaded);
        CollectionAssert.AreEqual(state.GetHistograms()!.Counts.ToArray(), loaded.GetHistograms()!.Counts.ToArray());
        Assert.IsNull(States.Load(States.Save(state.WithPopulation(state.GetPopulation()!))).GetHistograms());
        Assert.AreNotEqual(state, state.WithPopulation(state.GetPopulation()!, batches: 0));

        // Names of other frameworks have no place for them.
        Assert.IsNull(States.LoadSafetensors(States.SaveSafetensors(state)).GetHistograms());
        for (int at = 8; at < file.Length; at += 97)
        {
            byte[] damaged = [.. file];
            damaged[at] ^= 1;
            Assert.ThrowsExactly<InvalidDataException>(() => States.Load(damaged));
        }
    }

    [TestMethod]
    public void A_network_keeps_those_of_a_frozen_layer()
    {
        Network network = Network.Input(2).BatchNormalization(name: "norm").Dense(1, name: "top").Freeze("norm");
        NetworkState fresh = network.Initialize(1);
        BatchNormalizationState norm = fresh["norm"].BatchNormalization!;
        BatchNormalizationState kept = HistogramDriftTests.State(Sample.Doubles(20, 1), ChannelLayout.Features(10, 2))
            .WithAffine(norm.Gamma, norm.Beta);
        NetworkState state = fresh.With("norm", new LayerState(kept));
        var data = new TrainingData(10, Sample.Floats(20, 2), Sample.Floats(10, 3));
        TrainingResult result = NetworkTrainer.Train(
            network, state, data, new TrainingOptions { Epochs = 1, Loss = Loss.MeanSquaredError });
        Assert.AreEqual(kept, result.State["norm"].BatchNormalization);
        var stream = new MemoryStream();
        network.Save(stream, result.State);
        stream.Position = 0;
        Assert.AreEqual(kept, Network.Load(stream).State["norm"].BatchNormalization);
    }

    static ChannelHistograms Counted(double[] x, int channels) =>
        HistogramDriftTests.State(x, ChannelLayout.Features(x.Length / channels, channels)).GetHistograms()!;
}
