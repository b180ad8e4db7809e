using Microsoft.ML.BatchNorm;

namespace TransferLearning;

/// <summary>
/// Takes a network that knows the digits 0 to 4 to the digits 5 to 9, of which few rows have labels, in several ways.
/// </summary>
static class TransferStep
{
    const int Labelled = 20, HeadEpochs = 100, AllEpochs = 100;
    const double HeadRate = 1e-2, AllRate = 1e-3;

    public static void Run(Digits train, Digits test)
    {
        (Digits known, Digits fresh, Digits freshTest) = (train.Between(0, 4), train.Between(5, 9), test.Between(5, 9));
        Show.Heading(
            2, "From the digits 0 to 4 to the digits 5 to 9",
            $"Pretrained on {known.Rows} rows of 0 to 4; then a new head of 5 outputs, {Labelled} labelled rows of each of 5 " +
            $"to 9, and {freshTest.Rows} rows of them to test. The head trains alone for {HeadEpochs} epochs at " +
            $"{HeadRate}, the base in inference mode; where all layers follow, for {AllEpochs} more at {AllRate}.");

        FineTuningPlan train100 = Plan(FineTuneBatchNormalization.Train);
        (string Name, FineTuningPlan Plan)[] ways =
        [
            ("head only", new FineTuningPlan(train100.Phases[0])),
            ("all layers, Train", train100),
            ("all layers, KeepStatistics", Plan(FineTuneBatchNormalization.KeepStatistics)),
            ("all layers, KeepFrozen", Plan(FineTuneBatchNormalization.KeepFrozen)),
        ];
        int epochs = DigitNetwork.Training(0).Epochs + ways.Sum(way => way.Plan.Phases.Sum(phase => phase.Epochs));
        IReadOnlyList<SeedResult> results = Seeds.Run(epochs, (seed, progress) =>
        {
            Network pretrained = DigitNetwork.WithClasses(5);
            NetworkState state = NetworkTrainer.Train(
                pretrained, pretrained.Initialize(seed), known.ToData(), DigitNetwork.Training(seed),
                progress: progress).State;

            Network network = pretrained.WithHead(5);
            TrainingData few = fresh.PerClass(Labelled, seed).ToData(first: 5);
            TrainingOptions options = DigitNetwork.Training(seed) with { BatchSize = 20 };
            return [.. ways.Select(way =>
            {
                TrainingResult result = NetworkTrainer.Train(
                    network, network.Initialize(state, seed), few, options, way.Plan, progress: progress);
                return freshTest.Accuracy(new NetworkModel(network, result.State), first: 5);
            })];
        });

        Show.Table(
            ["digits 5 to 9, test rows", "mean", "deviation", "worst", "best"],
            ways.Select((way, i) => new[] { way.Name }.Concat(Seeds.Summarize(results, i)).ToArray()));
    }

    static FineTuningPlan Plan(FineTuneBatchNormalization batchNormalization) =>
        FineTune.HeadThenAll(HeadEpochs, AllEpochs, HeadRate, AllRate, batchNormalization);
}
