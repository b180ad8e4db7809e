namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Statistics;

/// <summary>Statistics from libtorch are exact, and stay so through states and sessions.</summary>
[TestClass]
public class CarriedExactnessTests
{
    const int Channels = 8;
    const double Tolerance = 1e-14;

    static readonly TorchEngine engine = new("cpu");

    static readonly BatchNormalizationOptions population = new()
    {
        MovingStatistics = MovingStatistics.Population,
        Scale = false,
        Center = false,
    };

    [TestMethod]
    [DataRow(NonFinite.Throw)]
    [DataRow(NonFinite.Ignore)]
    public void A_layer_whose_fit_is_continued_again_and_again_has_exact_statistics(NonFinite nonFinite)
    {
        const int rows = 100_000, batch = 1000;
        double[] x = Sample.Doubles(rows * Channels, 1, 1e6, 1e-2);
        BatchNormalizationOptions options = population with { NonFinite = nonFinite };
        BatchNormalizationState fresh = BatchNormalization.Initialize(options, Channels), state = fresh;
        var merged = new BatchStatistics(Channels);
        for (int row = 0; row < rows; row += batch)
        {
            ReadOnlySpan<double> part = x.AsSpan(row * Channels, batch * Channels);
            state = Fit(options, state, part);
            merged.Merge(Fit(options, fresh, part).GetPopulation()!);
        }
        ExactMoments exact = ExactMoments.Of(x, Channels, 1_000_000, 33);
        exact.AssertClose(Tolerance, state.GetPopulation()!, "one after the other");
        exact.AssertClose(Tolerance, merged, "merged");
    }

    [TestMethod]
    public void Statistics_are_exact_although_the_session_is_ended_and_continued()
    {
        (Network network, TrainingData data, ExactMoments exact) = Training();
        NetworkState state = network.Initialize(1);
        var recomputed = new BatchStatistics(Channels);
        for (int row = 0; row < data.Rows; row += 1000)
        {
            int[] rows = [.. Enumerable.Range(row, 1000)];
            using (ITrainingSession session = engine.Start(network, state, new TrainingOptions(), data))
            {
                session.TrainOnBatch(rows, 1e-3);
                state = session.GetState();
            }
            using ITrainingSession other = engine.Start(network, network.Initialize(1), new TrainingOptions(), data);
            other.RecomputeStatistics(rows);
            recomputed.Merge(Population(other.GetState()));
        }
        exact.AssertClose(Tolerance, Population(state), "batch by batch");
        exact.AssertClose(Tolerance, recomputed, "recomputed");

        static BatchStatistics Population(NetworkState state) =>
            state["batch_normalization"].BatchNormalization!.GetPopulation()!;
    }

    static (Network, TrainingData, ExactMoments) Training()
    {
        const int rows = 20_000;
        float[] x = Sample.Floats(rows * Channels, 3, 1e4, 0.1);
        return (
            Network.Input(Channels).BatchNormalization(population).Dense(1),
            new TrainingData(rows, x, new float[rows]), ExactMoments.Of(Sample.Widen(x), Channels, 10_000, 24));
    }

    static BatchNormalizationState Fit(
        BatchNormalizationOptions options, BatchNormalizationState state, ReadOnlySpan<double> x)
    {
        using IStatisticsFit fit = engine.StartFit(options, state);
        fit.Add(ChannelLayout.Features(x.Length / Channels, Channels), x);
        return fit.Complete();
    }
}
