namespace Microsoft.ML.BatchNorm.Tests.Layer;

/// <summary>How the moving statistics follow the batches.</summary>
[TestClass]
public sealed class MovingStatisticsTests
{
    static readonly float[][] Batches = [.. Enumerable.Range(1, 6).Select(seed => Sample.Floats(40, seed, seed, seed))];

    static BatchNormalizationState After(BatchNormalizationOptions options, int batches)
    {
        BatchNormalizationState state = BatchNormalization.Initialize(options, 2);
        for (int batch = 0; batch < batches; batch++)
            state = BatchNormalization.UpdateMovingStatistics(
                options, state, ChannelLayout.Features(20, 2), Batches[batch]);
        return state;
    }

    static double Mean(int batch, int channel) =>
        Enumerable.Range(0, 20).Average(row => (double)Batches[batch][2 * row + channel]);

    static double SampleVariance(int batch, int channel) =>
        Enumerable.Range(0, 20).Sum(row => Math.Pow(Batches[batch][2 * row + channel] - Mean(batch, channel), 2)) / 19;

    [TestMethod]
    public void Exponential_keeps_the_share_of_the_momentum()
    {
        var options =
            new BatchNormalizationOptions { Momentum = 0.75, MovingMeanInitializer = Initializer.Constant(8) };
        double expected = 8;
        for (int batch = 0; batch < 6; batch++)
            expected = 0.75 * expected + 0.25 * Mean(batch, 1);
        Assert.AreEqual(expected, After(options, 6).MovingMean[1], 1e-14);
    }

    [TestMethod]
    public void Cumulative_is_the_plain_average_of_the_batches()
    {
        var options = BatchNormalizationOptions.PyTorch with { MovingStatistics = MovingStatistics.Cumulative };
        BatchNormalizationState state = After(options, 6);
        for (int c = 0; c < 2; c++)
        {
            Assert.AreEqual(Enumerable.Range(0, 6).Average(b => Mean(b, c)), state.MovingMean[c], 1e-13);
            Assert.AreEqual(Enumerable.Range(0, 6).Average(b => SampleVariance(b, c)), state.MovingVariance[c], 1e-12);
        }
    }

    [TestMethod]
    public void Initial_weight_is_the_share_of_the_initializer()
    {
        var options = new BatchNormalizationOptions();
        Assert.AreEqual(1, After(options, 0).InitialWeight);
        Assert.AreEqual(Math.Pow(0.99, 6), After(options, 6).InitialWeight, 1e-15);
        Assert.AreEqual(0, After(options with { MovingStatistics = MovingStatistics.Cumulative }, 1).InitialWeight);
        Assert.AreEqual(0, After(options with { MovingStatistics = MovingStatistics.Population }, 1).InitialWeight);
        Assert.AreEqual(0, new BatchNormalizationState([0], [1]).InitialWeight);

        // What the share means: a start of s instead of 0 moves the result by the share times s.
        var shifted = options with { MovingMeanInitializer = Initializer.Constant(1000) };
        Assert.AreEqual(
            1000 * After(options, 6).InitialWeight, After(shifted, 6).MovingMean[0] - After(options, 6).MovingMean[0],
            1e-9);
    }

    [TestMethod]
    public void Going_on_from_the_population_of_one_data_set_adds_the_next()
    {
        var options = new BatchNormalizationOptions { MovingStatistics = MovingStatistics.Population };
        BatchNormalizationState all = After(options, 6), resumed = After(options, 3);
        for (int batch = 3; batch < 6; batch++)
            resumed = BatchNormalization.UpdateMovingStatistics(
                options, resumed, ChannelLayout.Features(20, 2), Batches[batch]);
        Assert.AreEqual(all, resumed);
    }

    [TestMethod]
    public void Another_kind_of_average_starts_its_own_population()
    {
        BatchNormalizationState population = After(new() { MovingStatistics = MovingStatistics.Population }, 3);
        BatchNormalizationState moved = BatchNormalization.UpdateMovingStatistics(
            new(), population, ChannelLayout.Features(20, 2), Batches[3]);
        Assert.IsNull(moved.GetPopulation());
        Assert.AreEqual(0.99 * population.MovingMean[0] + 0.01 * Mean(3, 0), moved.MovingMean[0], 1e-14);
    }

    [TestMethod]
    [DataRow(20, 5)]
    [DataRow(23, 5)]
    [DataRow(3, 5)]
    [DataRow(1, 2)]
    [DataRow(4, 3)]
    [DataRow(5, 1)]
    public void A_virtual_batch_is_normalized_as_if_alone_and_the_average_over_them_moves(int rows, int size)
    {
        const int channels = 3;
        var options = new BatchNormalizationOptions { VirtualBatchSize = size };
        var plain = new BatchNormalizationOptions();
        ChannelLayout layout = ChannelLayout.Features(rows, channels);
        float[] x = Sample.Floats(layout.Count, 1, 2, 3), y = new float[x.Length];
        BatchNormalizationState state = Sample.State(options, channels);
        ForwardPass pass = BatchNormalization.Forward(options, state, layout, x, y, training: true);
        int groups = (rows + size - 1) / size;
        double[] mean = new double[channels];
        for (int group = 0; group < groups; group++)
        {
            int[] members = [.. Enumerable.Range(0, rows).Where(row => row % groups == group)];
            float[] own = [.. members.SelectMany(row => x.Skip(row * channels).Take(channels))];
            float[] output = new float[own.Length];
            ForwardPass alone = BatchNormalization.Forward(
                plain, state, ChannelLayout.Features(members.Length, channels), own, output, training: true);
            Agreement.SameBits<float>(
                output, members.SelectMany(row => y.Skip(row * channels).Take(channels)).ToArray(), $"group {group}");
            for (int c = 0; c < channels; c++)
                mean[c] += alone.Mean()[c] / groups;
        }
        for (int c = 0; c < channels; c++)
            Assert.AreEqual(0.99 * state.MovingMean[c] + 0.01 * mean[c], pass.NextState.MovingMean[c], 1e-14);
    }

    [TestMethod]
    public void No_row_is_alone_in_a_virtual_batch_of_two_or_more_and_the_sample_variance_has_its_values()
    {
        foreach (int size in (int[])[2, 3, 4, 7])
        {
            for (int rows = 2; rows < 40; rows++)
            {
                var options = BatchNormalizationOptions.PyTorch with { VirtualBatchSize = size };
                ChannelLayout layout = ChannelLayout.Features(rows, 2);
                float[] x = Sample.Floats(layout.Count, rows), y = new float[x.Length];
                BatchNormalization.Forward(options, Sample.State(options, 2), layout, x, y, training: true);
                var network = Network.Input(2).BatchNormalization(options).Dense(1);
                Assert.AreEqual(1, NetworkTrainer.Train(
                    network, network.Initialize(1), new TrainingData(rows, x, new float[rows]),
                    new TrainingOptions
                    {
                        Loss = Loss.MeanSquaredError, Optimizer = Optimizer.Sgd(1e-3), Epochs = 1, BatchSize = rows,
                    }).History.Length);
            }
        }
    }

    [TestMethod]
    public void With_a_size_of_two_an_odd_row_makes_a_virtual_batch_of_three()
    {
        var options = new BatchNormalizationOptions { VirtualBatchSize = 2 };
        double[] x = [1, 10, 2, 20, 3], y = new double[5];
        BatchNormalizationState state = BatchNormalization.Initialize(options, 1);
        ForwardPass pass = BatchNormalization.Forward(
            options, state, ChannelLayout.Features(5, 1), x, y, training: true);
        Assert.AreEqual(2, pass.Mean(0)[0], 1e-15);
        Assert.AreEqual(15, pass.Mean(1)[0], 1e-15);
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => _ = pass.Mean(2).Length);
    }

    [TestMethod]
    public void A_virtual_batch_of_an_image_shares_statistics_over_its_pixels()
    {
        var options = new BatchNormalizationOptions { VirtualBatchSize = 2, Axis = 1 };
        var layout = new ChannelLayout([4, 3, 2, 2], 1);
        float[] x = Sample.Floats(48, 1), y = new float[48];
        BatchNormalization.Forward(options, BatchNormalization.Initialize(options, 3), layout, x, y, training: true);
        for (int group = 0; group < 2; group++)
        {
            for (int c = 0; c < 3; c++)
            {
                double sum = 0;
                foreach (int row in new[] { group, group + 2 })
                    sum += Enumerable.Range(0, 4).Sum(i => (double)y[(row * 3 + c) * 4 + i]);
                Assert.AreEqual(0, sum, 1e-5);
            }
        }
    }

    [TestMethod]
    public void Without_limits_renormalized_output_is_that_of_the_renormalization_averages()
    {
        // Unclipped, r and d turn the batch's normalization into that of the averages.
        var options = new BatchNormalizationOptions { Renorm = new(), Center = false, Scale = false };
        BatchNormalizationState state = Sample.State(options, 2);
        double[] x = Sample.Doubles(40, 3, 1, 2), y = new double[40];
        BatchNormalization.Forward(options, state, ChannelLayout.Features(20, 2), x, y, training: true);
        double[] expected = [.. x.Select((value, i) =>
            (value - state.Renorm!.Mean[i % 2]) / state.Renorm.StandardDeviation[i % 2])];
        Agreement.Within(1e-13, expected, y);
    }

    [TestMethod]
    public unsafe void A_session_moves_its_statistics_to_the_bits_of_the_functions()
    {
        BatchNormalizationOptions keras = BatchNormalizationOptions.Keras, torch = BatchNormalizationOptions.PyTorch;
        foreach (BatchNormalizationOptions options in new[]
                 {
                     keras, torch, torch with { MovingStatistics = MovingStatistics.Cumulative },
                     torch with { MovingStatistics = MovingStatistics.Population }, keras with { Renorm = new() },
                     keras with { VirtualBatchSize = 7 }, torch with { VirtualBatchSize = 4 },
                 })
        {
            BatchNormalizationState state = BatchNormalization.Initialize(options, 2);
            var session = new RunningStatistics(options, state);
            int groups = RowGroups.CountOf(20, options.VirtualBatchSize), room = Simd.RoundUp(2);
            for (int batch = 0; batch < 6; batch++)
            {
                var statistics = new BatchStatistics[groups];
                var memory = new AlignedMemory<double>(groups * Moments.Arrays * room);
                for (int group = 0; group < groups; group++)
                {
                    statistics[group] = new BatchStatistics(2);
                    // One batch has no value, and one a channel without any.
                    bool[] mask = [.. Enumerable.Range(0, 4).Select(_ => batch != 2)];
                    float[] x = [.. Batches[batch].Skip(8 * group).Take(8)];
                    if (batch == 3)
                        x[0] = x[2] = x[4] = x[6] = float.NaN;
                    statistics[group].Add(ChannelLayout.Features(4, 2), x, mask, NonFinite.Ignore);
                    for (int array = 0; array < Moments.Arrays; array++)
                    {
                        statistics[group].Packed.Slice(2 * array, 2)
                            .CopyTo(memory.Span[((group * Moments.Arrays + array) * room)..]);
                    }
                }
                state = MovingUpdate.Next(options, state, statistics);
                session.Move(memory.Start, groups);
                Assert.AreEqual(state, session.ToState(state.Gamma, state.Beta), $"{options}, batch {batch}");
            }
        }
    }
}
