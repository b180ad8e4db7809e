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
            "A network trained on ten digits, then Predict on the test rows and the layer's own Forward on a batch " +
            $"of {BatchRows}. How much the outputs of the network on {test.Rows} test rows have changed after each:");
        float[] outputs = Outputs(network, state, test.Pixels);

        var model = new NetworkModel(network, state);
        for (int i = 0; i < Calls; i++)
            model.Predict(test.Pixels, new float[outputs.Length]);
        string[] predicted = Row($"Predict, {Calls} times", model.State);

        // The layer's own calls, on what the layer before it gives.
        NetworkNode node = network.GetNode("norm");
        var layer = (BatchNormalizationLayer)node.Layer;
        Network below = network.Until("dense");
        float[] x = Outputs(below, below.Initialize(state), test.Pixels[..(BatchRows * Digits.PixelCount)]);
        NetworkState After(bool training)
        {
            ForwardPass pass = BatchNormalization.Forward(
                layer.EffectiveOptions, state["norm"].BatchNormalization!, layer.Layout(node.Input, BatchRows), x,
                new float[x.Length], training);
            return state.With("norm", new LayerState(pass.NextState));
        }
        Show.Table(
            ["call", "statistics moved", "largest change", "of up to"],
            predicted,
            Row("Forward, training: false", After(training: false)),
            Row("Forward, training: true", After(training: true)));
        Show.Text(
            "States are values: a call in training mode gives the next one, and who takes it sees other predictions.");

        string[] Row(string name, NetworkState after)
        {
            ReadOnlySpan<double> was = state["norm"].BatchNormalization!.MovingMean;
            ReadOnlySpan<double> now = after["norm"].BatchNormalization!.MovingMean;
            float change = Outputs(network, after, test.Pixels)
                .Zip(outputs, (now, was) => Math.Abs(now - was)).Max();
            return [name, Show.YesNo(!was.SequenceEqual(now)), $"{change:0.####}", $"{outputs.Max(Math.Abs):0.0}"];
        }
    }

    static float[] Outputs(Network network, NetworkState state, float[] features)
    {
        float[] outputs = new float[features.Length / network.InputShape.Size * network.OutputShape.Size];
        new NetworkModel(network, state).Predict(features, outputs);
        return outputs;
    }
}
