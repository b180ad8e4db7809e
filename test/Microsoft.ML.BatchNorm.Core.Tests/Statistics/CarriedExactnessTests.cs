namespace Microsoft.ML.BatchNorm.Tests.Statistics;

/// <summary>What is exact in memory stays so through states, files and sessions.</summary>
[TestClass]
public sealed class CarriedExactnessTests
{
    const int Rows = 100_000, Channels = 8, Shards = 64;
    const double Tolerance = 1e-14;

    static readonly BatchNormalizationOptions Population = new()
    {
        MovingStatistics = MovingStatistics.Population,
        Scale = false,
        Center = false,
    };

    /// <summary>Columns of mean 1e6 and deviation 1e-2. A double of this size is a multiple of 2⁻³³.</summary>
    static readonly double[] X = Sample.Doubles(Rows * Channels, 1, 1e6, 1e-2);
    static readonly ExactMoments Exact = ExactMoments.Of(X, Channels, 1_000_000, 33);

    [TestMethod]
    public void Shards_that_were_saved_and_loaded_merge_to_the_exact_statistics() => AssertMerged(Reload);

    [TestMethod]
    [DataRow(TensorNaming.PyTorch)]
    [DataRow(TensorNaming.Keras)]
    public void Shards_that_went_through_safetensors_merge_to_the_exact_statistics(TensorNaming naming) =>
        AssertMerged(state =>
        {
            var stream = new MemoryStream();
            state.SaveSafetensors(stream, Population, "bn.", naming);
            stream.Position = 0;
            return BatchNormalizationState.LoadSafetensors(stream, "bn.").State;
        });

    [TestMethod]
    public void Shards_that_went_through_a_network_s_file_merge_to_the_exact_statistics() => AssertMerged(state =>
    {
        Network network = Network.Input(Channels).BatchNormalization(Population);
        var stream = new MemoryStream();
        network.Save(stream, new([KeyValuePair.Create("batch_normalization", new LayerState(state))]));
        stream.Position = 0;
        return Network.Load(stream).State["batch_normalization"].BatchNormalization!;
    });

    [TestMethod]
    public void Shards_that_went_through_a_checkpoint_merge_to_the_exact_statistics() => AssertMerged(state =>
    {
        Network network = Network.Input(Channels).BatchNormalization(Population);
        var options = new TrainingOptions();
        var checkpoint = new TrainingCheckpoint(
            new RunSetup(network, options, RunPhase.Of(network, options, plan: null), DataChecksum: 0),
            RunPosition.StartOf(0, new([KeyValuePair.Create("batch_normalization", new LayerState(state))]), [], []));
        var stream = new MemoryStream();
        checkpoint.Save(stream);
        stream.Position = 0;
        return TrainingCheckpoint.Load(stream).State["batch_normalization"].BatchNormalization!;
    });

    [TestMethod]
    [DataRow(TensorNaming.PyTorch)]
    [DataRow(TensorNaming.Keras)]
    public void Shards_that_went_through_a_network_s_safetensors_merge_to_the_exact_statistics(TensorNaming naming)
    {
        // Keras has the features of a flattened image in another order.
        Network network = Network.Input(2, 2, 2).Flatten().BatchNormalization(Population);
        AssertMerged(state =>
        {
            var stream = new MemoryStream();
            network.SaveSafetensors(
                stream, new([KeyValuePair.Create("batch_normalization", new LayerState(state))]), naming);
            stream.Position = 0;
            return network.LoadSafetensors(stream, naming).State["batch_normalization"].BatchNormalization!;
        });
    }

    [TestMethod]
    public void A_state_moved_batch_by_batch_has_the_exact_statistics()
    {
        BatchNormalizationState state = BatchNormalization.Initialize(Population, Channels);
        for (int row = 0; row < Rows; row += 100)
            state = BatchNormalization.UpdateMovingStatistics(Population, state, Layout(100), Part(row, 100));
        Exact.AssertClose(Tolerance, state.GetPopulation()!);
        for (int c = 0; c < Channels; c++)
            Assert.AreEqual(1, state.MovingVariance[c] / (Exact.M2[c] / Rows), Tolerance);
    }

    [TestMethod]
    public void A_state_that_is_saved_and_fitted_on_again_and_again_has_the_exact_statistics()
    {
        BatchNormalizationState state = BatchNormalization.Initialize(Population, Channels);
        for (int shard = 0; shard < Shards; shard++)
        {
            using IStatisticsFit fit = new CpuEngine().StartFit(Population, Reload(state));
            (int first, int rows) = Shard(shard);
            fit.Add(Layout(rows), Part(first, rows));
            state = fit.Complete();
        }
        Exact.AssertClose(Tolerance, state.GetPopulation()!);
    }

    [TestMethod]
    public void Statistics_from_elsewhere_merge_to_the_exact_ones_with_what_their_doubles_do_not_hold()
    {
        var merged = new BatchStatistics(Channels);
        for (int shard = 0; shard < Shards; shard++)
        {
            BatchStatistics part = Of(shard);
            merged.Merge(new BatchStatistics(part.Count, part.Mean, part.M2, part.MeanRest, part.M2Rest));
        }
        Exact.AssertClose(Tolerance, merged);
    }

    [TestMethod]
    public void A_training_session_s_statistics_are_exact_although_it_is_left_and_gone_on_with()
    {
        (Network network, TrainingData data, ExactMoments exact) = Training();
        NetworkState state = network.Initialize(1);
        for (int row = 0; row < data.Rows; row += 500)
        {
            using ITrainingSession session = new CpuEngine(1).Start(network, state, new TrainingOptions(), data);
            session.TrainOnBatch([.. Enumerable.Range(row, 500)], 1e-3);
            state = session.GetState();
        }
        exact.AssertClose(Tolerance, state["batch_normalization"].BatchNormalization!.GetPopulation()!);
    }

    [TestMethod]
    public void Recomputed_statistics_are_exact_and_merge_exactly()
    {
        (Network network, TrainingData data, ExactMoments exact) = Training();
        var merged = new BatchStatistics(Channels);
        for (int row = 0; row < data.Rows; row += 500)
        {
            using ITrainingSession session = new CpuEngine(1).Start(
                network, network.Initialize(1), new TrainingOptions(), data);
            session.RecomputeStatistics([.. Enumerable.Range(row, 500)]);
            merged.Merge(session.GetState()["batch_normalization"].BatchNormalization!.GetPopulation()!);
        }
        exact.AssertClose(Tolerance, merged);
    }

    static (Network, TrainingData, ExactMoments) Training()
    {
        const int rows = 20_000;
        float[] x = Sample.Floats(rows * Channels, 3, 1e4, 0.1);
        return (
            Network.Input(Channels).BatchNormalization(Population).Dense(1),
            new TrainingData(rows, x, new float[rows]), ExactMoments.Of(Sample.Widen(x), Channels, 10_000, 24));
    }

    static void AssertMerged(Func<BatchNormalizationState, BatchNormalizationState> through)
    {
        BatchNormalizationState fresh = BatchNormalization.Initialize(Population, Channels);
        var merged = new BatchStatistics(Channels);
        for (int shard = 0; shard < Shards; shard++)
        {
            BatchNormalizationState state = fresh.WithPopulation(Of(shard)), carried = through(state);
            Agreement.SameBits(state.GetPopulation()!.Mean, carried.GetPopulation()!.Mean);
            Agreement.SameBits(state.GetPopulation()!.M2, carried.GetPopulation()!.M2);
            merged.Merge(carried.GetPopulation()!);
        }
        Exact.AssertClose(Tolerance, merged);
    }

    static BatchNormalizationState Reload(BatchNormalizationState state)
    {
        var stream = new MemoryStream();
        state.Save(stream, Population);
        stream.Position = 0;
        return BatchNormalizationState.Load(stream).State;
    }

    static BatchStatistics Of(int shard)
    {
        (int first, int rows) = Shard(shard);
        var statistics = new BatchStatistics(Channels);
        statistics.Add(Layout(rows), Part(first, rows));
        return statistics;
    }

    static (int First, int Rows) Shard(int shard) =>
        (Rows * shard / Shards, Rows * (shard + 1) / Shards - Rows * shard / Shards);

    static ChannelLayout Layout(int rows) => ChannelLayout.Features(rows, Channels);

    static ReadOnlySpan<double> Part(int first, int rows) => X.AsSpan(first * Channels, rows * Channels);
}
