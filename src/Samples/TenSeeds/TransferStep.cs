using Microsoft.ML.BatchNorm;

namespace TenSeeds;

/// <summary>
/// Fine-tunes a network that knows the digits 0 to 4 on the digits 5 to 9, with few labels, in several ways.
/// </summary>
static class TransferStep
{
    const int Classes = 5, RowsPerClass = 20, HeadEpochs = 100, AllEpochs = 100, BatchSize = 20;
    const double HeadRate = 1e-2, AllRate = 1e-3;

    static readonly (string Name, FineTuningPlan Plan)[] ways =
    [
        ("head", FineTune.HeadOnly(HeadEpochs, HeadRate)),
        ("Train", Plan(FineTuneBatchNormalization.Train)),
        ("KeepStatistics", Plan(FineTuneBatchNormalization.KeepStatistics)),
        ("KeepFrozen", Plan(FineTuneBatchNormalization.KeepFrozen)),
    ];

    public static void Run(Digits train, Digits test)
    {
        (Digits known, Digits fresh, Digits freshTest) = (train.Between(0, 4), train.Between(5, 9), test.Between(5, 9));
        Show.Heading(
            2, "From the digits 0 to 4 to the digits 5 to 9",
            $"Pretrained on {known.Rows} rows of 0 to 4; then a new head of 5 outputs, {RowsPerClass} labelled rows " +
            $"of each of 5 to 9, and {freshTest.Rows} rows of them to test. The head trains alone for {HeadEpochs} " +
            $"epochs at {HeadRate}, over a base in inference mode (head); then all layers for {AllEpochs} epochs at " +
            $"{AllRate}, with the base's batch normalization in training mode (Train), with its statistics kept " +
            "(KeepStatistics), or as it is (KeepFrozen).");

        int tuningEpochs = ways.Sum(way => way.Plan.Phases.Sum(phase => phase.Epochs));
        long rows = (long)DigitNetwork.Training(0).Epochs * known.Rows + tuningEpochs * Classes * RowsPerClass;
        string[] names = [.. ways.Select(way => way.Name)];
        IReadOnlyList<SeedResult> results = Seeds.Run(names, rows, (seed, progress) =>
        {
            Network pretrained = DigitNetwork.WithClasses(Classes);
            NetworkState state = NetworkTrainer.Train(
                pretrained, pretrained.Initialize(seed), known.ToData(), DigitNetwork.Training(seed),
                progress: progress.Run(known.Rows, $"seed {seed}, ")).State;

            Network network = pretrained.WithHead(Classes);
            NetworkState start = network.Initialize(state, seed);
            TrainingData few = fresh.PerClass(RowsPerClass, seed).ToData(first: 5);
            TrainingData unseen = freshTest.ToData(first: 5);
            TrainingOptions options = DigitNetwork.Training(seed) with { BatchSize = BatchSize };
            return [.. ways.Select(way =>
            {
                TrainingResult tuned = NetworkTrainer.Train(
                    network, start, few, options, way.Plan, progress: progress.Run(few.Rows, $"seed {seed}, "));
                return NetworkTrainer.Evaluate(network, tuned.State, unseen, options.Loss).Metric;
            })];
        });

        Show.Table(
            ["5 to 9, test rows", "mean", "deviation", "worst", "best"],
            names.Select((name, i) => new[] { name }.Concat(Seeds.Summarize(results, i)).ToArray()));
        Show.Text(
            "Mean and deviation over ten seeds. If two means are closer to each other than the deviations, they do " +
            "not show which way is better.");
    }

    static FineTuningPlan Plan(FineTuneBatchNormalization batchNormalization) =>
        FineTune.HeadThenAll(HeadEpochs, AllEpochs, HeadRate, AllRate, batchNormalization);
}
