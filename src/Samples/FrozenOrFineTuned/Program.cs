using Microsoft.ML.BatchNorm;

(Digits train, Digits test) = Digits.Load();
(Digits old, Digits later) = train.Split(1000);
Show.Title(
    "Frozen or fine-tuned, when the data has changed",
    $"A network learns {old.Rows:N0} handwritten digits, whose pixels go from 0 for paper to 1 for ink, and is " +
    $"right on most of {test.Rows} others. Then the exposure changes, in one of three ways. With {later.Rows} " +
    "digits under the new exposure the network is adapted without labels, or with labels fine-tuned or trained anew. " +
    "Before each table stands what BatchNormalizationDiagnosis says. The tables show how many layers change, accuracy " +
    "and log-loss on the test digits under the new exposure, and accuracy under the old one.");

Network network = Network.Input(Digits.PixelCount)
    .Dense(128, useBias: false).BatchNormalization(name: "norm_1").ReLU()
    .Dense(64, useBias: false).BatchNormalization(name: "norm_2").ReLU()
    .Dense(10, name: "digits");
NetworkState start = network.Initialize(seed: 1);
var options = new TrainingOptions { Epochs = 40, Seed = 1, RecomputeStatistics = true };
NetworkState fitted = Train(network, start, old);

// Only batch normalization is unfrozen: its statistics move, and gamma and beta learn or do not. The kernels are fixed.
Network frozen = network.Freeze("*"), normalizations = frozen.Unfreeze("norm*");
Network statistics = normalizations.WithBatchNormalization(layer => layer with { TrainAffine = false }, "norm*");

Compare(1, "Less contrast, on grey paper", gain: 0.5f, haze: 0.2f);
Show.Text(
    "The pixels are shifted and scaled, which is just what the statistics remove: new statistics alone repair the " +
    "network, and need no labels. It is better than one that is trained on the few new rows.");
Compare(2, "Overexposed: faint ink is lost", gain: 2, haze: -1.2f);
Show.Text(
    "What is lost stays lost. New statistics repair a part; gamma and beta, which need labels, lower the loss " +
    "further.");
Compare(3, "A negative", gain: -1, haze: 1);
Show.Text("Ink and paper have changed places, and no statistics can undo that. The kernels must learn: train anew.");

// A frozen network keeps every bit, even in calls that ask for training mode.
byte[] before = Bytes(fitted);
for (int call = 0; call < 100; call++)
    fitted = frozen.Forward(fitted, later.Expose(-1, 1).Pixels, training: true).NextState;
Show.Heading(4, "Frozen stays frozen", "After a hundred calls in training mode, on negatives, with all layers frozen:");
bool same = before.SequenceEqual(Bytes(fitted));
Show.Text($"saved, the network has the same {before.Length:N0} bytes: {Show.YesNo(same)}.");

void Compare(int number, string name, float gain, float haze)
{
    Show.Heading(number, name, $"Every pixel becomes {gain} * pixel {haze:+ 0.0;- 0.0}, within 0 to 1:");
    Digits few = later.Expose(gain, haze), seen = test.Expose(gain, haze);
    var known = new DiagnosisOptions { Loss = options.Loss, TrainingRows = old.ToData() };
    Show.Text(BatchNormalizationDiagnosis.Of(network, fitted, seen.ToData(), known).Verdict);
    Show.Table(
        ["", "changed", "accuracy", "log-loss", "old exposure"],
        Row("frozen, served as it is", fitted),
        Row("recomputed, without labels", NetworkTrainer.RecomputeStatistics(network, fitted, few.Pixels)),
        Row("merged, without labels", NetworkTrainer.MergeStatistics(network, fitted, few.Pixels, weight: 0.5)),
        Row("statistics fine-tuned", Train(statistics, fitted, few)),
        Row("gamma, beta, statistics", Train(normalizations, fitted, few)),
        Row("trained anew", Train(network, start, few)));

    string[] Row(string name, NetworkState state)
    {
        EvaluationResult now = Evaluate(state, seen), then = Evaluate(state, test);
        int changed = state.Paths.Count(path => !state[path].Equals(fitted[path]));
        return
        [
            name, $"{changed} of {state.Paths.Count()}", $"{now.Metric:0.0 %}", $"{now.Loss:0.000}",
            $"{then.Metric:0.0 %}",
        ];
    }
}

NetworkState Train(Network network, NetworkState state, Digits data) =>
    NetworkTrainer.Train(network, state, data.ToData(), options).State;

EvaluationResult Evaluate(NetworkState state, Digits data) =>
    NetworkTrainer.Evaluate(network, state, data.ToData(), options.Loss);

byte[] Bytes(NetworkState state)
{
    using var stream = new MemoryStream();
    network.Save(stream, state);
    return stream.ToArray();
}
