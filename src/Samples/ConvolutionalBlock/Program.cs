using System.Diagnostics;
using Microsoft.ML.BatchNorm;

const int Rounds = 51;

(Digits train, Digits test) = Digits.Load();
Show.Title(
    "A convolutional network, block by block",
    "Conv2D, BatchNormalization, ReLU, twice: handwritten digits as images of 8 x 8 pixels, " +
    $"{train.Rows:N0} to train and {test.Rows} to test, from one seed, on one thread.");

// A convolution before a batch normalization needs no bias: beta takes its place.
Network network = Block(Block(Network.Input(1, 8, 8), 32, "1"), 64, "2").Flatten().Dense(10);
Show.Heading(1, "The network", "Shapes are channels, rows and columns; None stands for the number of images.");
Show.Text(network.Summary().TrimEnd());

Show.Heading(2, "Training", "With Adam; at the end the exact statistics replace the moving ones.");
var options = new TrainingOptions
{
    Epochs = 15, Optimizer = Optimizer.Adam(3e-3), LearningRateSchedule = LearningRateSchedule.Cosine(), Seed = 1,
    RecomputeStatistics = true,
};
NetworkState state = Show.Progress("training", (long)options.Epochs * train.Rows, progress => NetworkTrainer.Train(
    network, network.Initialize(seed: 1), train.ToData(), options, progress: progress.Run(train.Rows)).State);
Show.Table(
    ["", "accuracy", "log-loss"], Row("training digits", train), Row("test digits", test));

// Inference mode is an affine map, which can be folded into the kernel and the bias of the convolution before it.
Show.Heading(3, "Folded", "NetworkModel folds each batch normalization into its convolution. On the test digits:");
var folded = new NetworkModel(network, state);
var unfolded = new NetworkModel(network, state, foldBatchNormalization: false);
float[] outputs = folded.Predict(test.Pixels), expected = unfolded.Predict(test.Pixels);
float difference = outputs.Zip(expected, (one, other) => Math.Abs(one - other)).Max();
bool same = Digit(outputs).SequenceEqual(Digit(expected));
(double Folded, double Unfolded)[] seconds =
    [.. Enumerable.Range(0, Rounds).Select(_ => (Seconds(folded), Seconds(unfolded)))];
double fast = Median(seconds.Select(round => round.Folded)), slow = Median(seconds.Select(round => round.Unfolded));
Show.Table(
    ["", "digits per second"], ["folded", $"{test.Rows / fast:N0}"], ["not folded", $"{test.Rows / slow:N0}"]);
Show.Text(
    $"Folded is {slow / fast:0.00} times as fast. Of outputs up to {expected.Max(Math.Abs):0.0}, none differs by " +
    $"more than {difference:0.0e-0}; the same digits: {Show.YesNo(same)}.");

static Network Block(Network below, int filters, string number) => below
    .Conv2D(filters, 3, padding: 1, useBias: false, name: $"conv_{number}").BatchNormalization(name: $"norm_{number}")
    .ReLU(name: $"relu_{number}").MaxPool2D(2, name: $"pool_{number}");

string[] Row(string name, Digits digits)
{
    EvaluationResult result = NetworkTrainer.Evaluate(network, state, digits.ToData(), options.Loss);
    return [name, $"{result.Metric:0.0 %}", $"{result.Loss:0.000}"];
}

static IEnumerable<int> Digit(float[] outputs) => outputs.Chunk(10).Select(row => row.IndexOf(row.Max()));

double Seconds(NetworkModel model)
{
    long start = Stopwatch.GetTimestamp();
    model.Predict(test.Pixels, outputs);
    return Stopwatch.GetElapsedTime(start).TotalSeconds;
}

static double Median(IEnumerable<double> values) => values.Order().ElementAt(Rounds / 2);
