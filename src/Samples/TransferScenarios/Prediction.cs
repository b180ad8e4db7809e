using Microsoft.ML.BatchNorm;

namespace TransferScenarios;

/// <summary>What moves the moving statistics, and what does not.</summary>
static class Prediction
{
    const int Calls = 100, BatchRows = 64;

    public static void Run(Digits train, Digits test)
    {
        Network network = Network.Input(Digits.PixelCount)
            .Dense(64, useBias: false).BatchNormalization(name: "norm").ReLU().Dense(10);
        NetworkState state = NetworkTrainer.Train(
            network, network.Initialize(seed: 1), train.ToData(), new TrainingOptions()).State;

        Show.Heading(
            3, "Prediction never moves the statistics; a call in training mode does",
            $"A network trained on ten digits, then Predict on the test rows and Forward on a batch of {BatchRows}. " +
            $"How much the outputs of the network on {test.Rows} test rows have changed after each:");
        var model = new NetworkModel(network, state);
        float[] outputs = model.Predict(test.Pixels);
        for (int i = 0; i < Calls; i++)
            model.Predict(test.Pixels);
        string[] predicted = Row($"Predict, {Calls} times", model.State);

        ReadOnlyMemory<float> batch = test.Pixels.AsMemory(0, BatchRows * Digits.PixelCount);
        Show.Table(
            ["call", "statistics moved", "largest change", "of up to"],
            predicted,
            Row("Forward, training: false", network.Forward(state, batch, training: false).NextState),
            Row("Forward, training: true", network.Forward(state, batch, training: true).NextState));
        Show.Text(
            "States are values: a call in training mode returns the next state, and predictions change only for a " +
            "caller who uses that one.");

        string[] Row(string name, NetworkState after)
        {
            ReadOnlySpan<double> was = state["norm"].BatchNormalization!.MovingMean;
            ReadOnlySpan<double> now = after["norm"].BatchNormalization!.MovingMean;
            float change = new NetworkModel(network, after).Predict(test.Pixels)
                .Zip(outputs, (now, was) => Math.Abs(now - was)).Max();
            return [name, Show.YesNo(!was.SequenceEqual(now)), $"{change:0.####}", $"{outputs.Max(Math.Abs):0.0}"];
        }
    }
}
