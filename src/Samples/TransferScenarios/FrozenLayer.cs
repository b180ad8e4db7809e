using Microsoft.ML.BatchNorm;

namespace TransferScenarios;

/// <summary>What a layer does in a training run: frozen, trainable, and trainable with its statistics kept.</summary>
static class FrozenLayer
{
    public static void Run(Digits train)
    {
        // A network that has learned the digits 0 to 4 gets a new head for the digits 5 to 9.
        Network pretrained = Network.Input(Digits.PixelCount)
            .Dense(64, useBias: false).BatchNormalization(name: "norm").ReLU().Dense(5);
        NetworkState learned = NetworkTrainer.Train(
            pretrained, pretrained.Initialize(seed: 1), train.Between(0, 4).ToData(), new TrainingOptions()).State;
        Network network = pretrained.WithHead(5);
        NetworkState state = network.Initialize(learned, seed: 1);

        // One step per epoch, so that the first loss is that of the network before it changes.
        TrainingData data = train.Between(5, 9).ToData(first: 5);
        var options = new TrainingOptions { BatchSize = data.Rows, Epochs = 50 };
        Network frozen = network.Freeze("norm");
        (string Name, Network Network)[] runs =
        [
            ("Freeze", frozen),
            ("Unfreeze", frozen.Unfreeze("norm")),
            ("UpdateStatistics = false", network.WithBatchNormalization(
                layer => layer with { UpdateStatistics = false }, "norm")),
        ];

        Show.Heading(
            1, "In a training run, a frozen layer stays in inference mode",
            $"Pretrained on the digits 0 to 4; then {options.Epochs} steps on {data.Rows} rows of 5 to 9. The loss " +
            "of the first step shows the mode: with moving statistics, as in Predict, it is " +
            $"{NetworkTrainer.Evaluate(network, state, data, options.Loss).Loss:0.0000}. The last columns show " +
            "how many of the layer's values the run has changed:");
        Show.Table(
            ["layer", "first loss", "last loss", "gamma, beta", "statistics"],
            runs.Select(run =>
            {
                TrainingResult result = NetworkTrainer.Train(run.Network, state, data, options);
                BatchNormalizationState before = state["norm"].BatchNormalization!;
                BatchNormalizationState after = result.State["norm"].BatchNormalization!;
                return new[]
                {
                    run.Name, $"{result.History[0].Loss:0.0000}", $"{result.History[^1].Loss:0.0000}",
                    Changed<float>([.. before.Gamma, .. before.Beta], [.. after.Gamma, .. after.Beta]),
                    Changed<double>(
                        [.. before.MovingMean, .. before.MovingVariance],
                        [.. after.MovingMean, .. after.MovingVariance]),
                };
            }));
        Show.Text(
            "Unfrozen, the layer normalizes with the batch's statistics, and the moving ones follow the new digits. " +
            "With its statistics kept, gamma and beta learn, and training computes the same as Predict.");
    }

    static string Changed<T>(T[] before, T[] after) =>
        $"{before.Zip(after).Count(pair => !pair.First!.Equals(pair.Second))} of {before.Length}";
}
