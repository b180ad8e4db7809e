using Microsoft.ML.BatchNorm;

const int RowsPerDigit = 20, PretrainingEpochs = 40, HeadEpochs = 100, AllEpochs = 100;

(Digits train, Digits test) = Digits.Load();
TrainingData known = train.Between(0, 4).ToData(), knownTest = test.Between(0, 4).ToData();
TrainingData few = train.Between(5, 9).PerClass(RowsPerDigit, seed: 1).ToData(first: 5);
TrainingData fewTest = test.Between(5, 9).ToData(first: 5);
Show.Title(
    "Transfer learning with batch normalization",
    $"A network learns the handwritten digits 0 to 4 from {known.Rows} rows of 8 x 8 pixels. Then it learns the " +
    $"digits 5 to 9 from {few.Rows} rows with labels; {fewTest.Rows} others are for the test. This is one seed: the " +
    "sample TenSeeds has ten, and compares the ways to treat batch normalization.");

Show.Heading(
    1, "Pretraining", "64 pixels, two hidden layers with batch normalization, and a head for the digits 0 to 4.");
Network pretrained = Base().Dense(5, name: "digits");
var options = new TrainingOptions { Epochs = PretrainingEpochs, BatchSize = 64, Seed = 1, RecomputeStatistics = true };
NetworkState learned = Show.Progress("pretraining", (long)PretrainingEpochs * known.Rows, progress =>
    NetworkTrainer.Train(
        pretrained, pretrained.Initialize(seed: 1), known, options, progress: progress.Run(known.Rows)).State);
string path = PathOf("safetensors"), page = PathOf("html");
using (FileStream file = File.Create(path))
    pretrained.SaveSafetensors(file, learned);
Show.Text($"Accuracy on 0 to 4: {NetworkTrainer.Evaluate(pretrained, learned, knownTest, options.Loss).Metric:0.0 %}.");
Show.File("Saved as safetensors:", path);

Show.Heading(
    2, "Fine-tuning",
    "The file is loaded as a base under a new head for 5 to 9. First the head trains alone over a frozen base, then " +
    "all layers at a lower rate: gamma and beta learn, and the base keeps the statistics of the pretraining.");
using FileStream saved = File.OpenRead(path);
SavedNetwork loaded = pretrained.LoadSafetensors(saved);
Network network = loaded.Network.WithHead(5);
NetworkState start = network.Initialize(loaded.State, seed: 1);
FineTuningPlan plan = FineTune.HeadThenAll(HeadEpochs, AllEpochs, headLearningRate: 1e-2, learningRate: 1e-3);
TrainingOptions tuning = options with { BatchSize = 20, RecomputeStatistics = false, EvaluateTrainingData = true };
TrainingResult result = Show.Progress("fine-tuning", (long)(HeadEpochs + AllEpochs) * few.Rows, progress =>
    NetworkTrainer.Train(network, start, few, tuning, plan, fewTest, progress: progress.Run(few.Rows)));
Show.Table(
    ["after", "rate", "accuracy", "test accuracy", "test log-loss"],
    [
        Row("no training of the head", 0, null, NetworkTrainer.Evaluate(network, start, fewTest, options.Loss)),
        .. plan.Phases.Select(phase =>
        {
            EpochResult last = result.History.Last(epoch => epoch.Phase == phase.Name);
            return Row(
                $"phase {phase.Name}, {phase.Epochs} epochs", phase.LearningRate, last.Metric,
                new EvaluationResult(last.ValidationLoss!.Value, last.ValidationMetric!.Value));
        }),
    ]);
Show.Text($"The base's statistics have the same bits as in the file: {Show.YesNo(Kept("norm_1") && Kept("norm_2"))}.");

TrainingReport.Of(result, "From the digits 0 to 4 to the digits 5 to 9").SaveHtml(page);
Show.File("The run as a page to look at in a browser:", page);

static Network Base() => Network.Input(Digits.PixelCount).WithPreset(NetworkPreset.PyTorch)
    .Dense(128, useBias: false).BatchNormalization(name: "norm_1").ReLU()
    .Dense(64, useBias: false).BatchNormalization(name: "norm_2").ReLU();

static string PathOf(string extension) => Path.Combine(AppContext.BaseDirectory, $"transfer-learning.{extension}");

static string[] Row(string after, double rate, double? accuracy, EvaluationResult test) =>
    [after, rate > 0 ? $"{rate}" : "", $"{accuracy:0.0 %}", $"{test.Metric:0.0 %}", $"{test.Loss:0.000}"];

bool Kept(string layer)
{
    BatchNormalizationState was = learned[layer].BatchNormalization!, now = result.State[layer].BatchNormalization!;
    return was.MovingMean.SequenceEqual(now.MovingMean) && was.MovingVariance.SequenceEqual(now.MovingVariance);
}
