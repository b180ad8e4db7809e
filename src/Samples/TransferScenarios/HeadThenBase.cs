using Microsoft.ML.BatchNorm;

namespace TransferScenarios;

/// <summary>Trains a new head over a frozen base, then all layers at a low learning rate.</summary>
static class HeadThenBase
{
    const int Epochs = 20;

    public static void Run(Digits train, Digits test)
    {
        // The base is a network of its own, as in Keras, so that one name stands for all its layers.
        Network layers = Network.Input(Digits.PixelCount)
            .Dense(128, useBias: false).BatchNormalization(name: "norm").ReLU()
            .Dense(64, useBias: false).BatchNormalization(name: "norm_1").ReLU();
        Network pretrained = Network.Input(Digits.PixelCount).Append(layers, "base").Dense(5, name: "classes");
        NetworkState learned = NetworkTrainer.Train(
            pretrained, pretrained.Initialize(seed: 1), train.Between(0, 4).ToData(), new TrainingOptions()).State;

        Network network = pretrained.WithHead(5, "head").Freeze("base");
        NetworkState start = network.Initialize(learned, seed: 1);
        TrainingData data = train.Between(5, 9).ToData(first: 5), validation = test.Between(5, 9).ToData(first: 5);
        var options = new TrainingOptions { Epochs = Epochs, Optimizer = Optimizer.Adam(1e-2) };
        TrainingResult head = NetworkTrainer.Train(network, start, data, options, validation);

        // The base learns, but keeps the statistics of the pretraining.
        Network tuned = network.Unfreeze("base")
            .WithBatchNormalization(layer => layer with { UpdateStatistics = false }, "base");
        TrainingResult all = NetworkTrainer.Train(
            tuned, head.State, data, options with { Optimizer = Optimizer.Adam(1e-4) }, validation);

        Show.Heading(
            4, "The head first, then the base",
            $"Pretrained on the digits 0 to 4; a new head for 5 to 9: {data.Rows} rows to train, " +
            $"{validation.Rows} to test. Accuracy on the test rows:");
        Show.Table(
            ["", "head, base frozen, rate 1e-2", "all layers, rate 1e-4"],
            [
                .. new[] { 1, 2, 5, 10, Epochs }.Select(epoch => new[]
                {
                    $"epoch {epoch}", $"{head.History[epoch - 1].ValidationMetric:0.0 %}",
                    $"{all.History[epoch - 1].ValidationMetric:0.0 %}",
                }),
                ["gamma, beta changed", .. Changed(Affine, start, head.State, all.State)],
                ["statistics moved", .. Changed(Statistics, start, head.State, all.State)],
            ]);
        Show.Text(
            "Both phases in one call: NetworkTrainer.Train with the plan " +
            $"FineTune.HeadThenAll({Epochs}, {Epochs}, 1e-2, 1e-4).");
    }

    static IEnumerable<string> Changed(Func<BatchNormalizationState, double[]> values, params NetworkState[] states)
    {
        string[] paths = ["base/norm", "base/norm_1"];
        double[] All(NetworkState state) => [.. paths.SelectMany(path => values(state[path].BatchNormalization!))];
        return states.Zip(states.Skip(1), (before, after) =>
            $"{All(before).Zip(All(after)).Count(pair => pair.First != pair.Second)} of {All(before).Length}");
    }

    static double[] Affine(BatchNormalizationState state) =>
        Array.ConvertAll<float, double>([.. state.Gamma, .. state.Beta], value => value);

    static double[] Statistics(BatchNormalizationState state) => [.. state.MovingMean, .. state.MovingVariance];
}
