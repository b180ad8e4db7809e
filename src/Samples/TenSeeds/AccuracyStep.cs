using Microsoft.ML.BatchNorm;

namespace TenSeeds;

/// <summary>Trains the network on all ten digits, with each seed.</summary>
static class AccuracyStep
{
    public static void Run(Digits train, Digits test)
    {
        Network network = DigitNetwork.WithClasses(10);
        TrainingOptions options = DigitNetwork.Training(seed: 1);
        Show.Heading(
            1, "Ten digits",
            $"Softmax cross-entropy, Adam with a learning rate of {options.Optimizer.LearningRate}, batches of " +
            $"{options.BatchSize} rows, {options.Epochs} epochs:");
        Show.Text(network.Summary());

        long rows = (long)options.Epochs * train.Rows;
        IReadOnlyList<SeedResult> results = Seeds.Run(["ten digits"], rows, (seed, progress) =>
        {
            TrainingResult result = NetworkTrainer.Train(
                network, network.Initialize(seed), train.ToData(), DigitNetwork.Training(seed),
                progress: progress.Run(train.Rows, $"seed {seed}, "));
            return [NetworkTrainer.Evaluate(network, result.State, test.ToData(), options.Loss).Metric];
        });
        Show.Table(
            ["test rows", "mean", "deviation", "worst", "best", "slowest seed"],
            ["ten digits", .. Seeds.Summarize(results, 0), $"{results.Max(result => result.Seconds):0.0} s"]);
    }
}
