using Microsoft.ML.BatchNorm;

namespace TransferScenarios;

/// <summary>The layer's formulas: its outputs, and the same numbers by hand.</summary>
static class Formulas
{
    public static void Run()
    {
        // Keras's numbers; one channel, and a batch of four rows.
        const double Gamma = 2, Beta = 1, Momentum = 0.99, Epsilon = 0.001;
        BatchNormalizationOptions options =
            BatchNormalizationOptions.Keras with { Momentum = Momentum, Epsilon = Epsilon };
        BatchNormalizationState state = BatchNormalization.Initialize(options, channels: 1)
            .WithAffine([(float)Gamma], [(float)Beta]);
        float[] x = [1, 2, 3, 6], training = new float[4], inference = new float[4];
        ChannelLayout layout = ChannelLayout.Features(rows: 4, channels: 1);

        ForwardPass pass = BatchNormalization.Forward(options, state, layout, x, training, training: true);
        BatchNormalization.Forward(options, pass.NextState, layout, x, inference, training: false);

        double mean = (1 + 2 + 3 + 6) / 4.0;
        double variance = x.Sum(value => (value - mean) * (value - mean)) / 4;
        double movingMean = Momentum * 0 + (1 - Momentum) * mean;
        double movingVariance = Momentum * 1 + (1 - Momentum) * variance;
        double Normalized(double value, double mean, double variance) =>
            Gamma * (value - mean) / Math.Sqrt(variance + Epsilon) + Beta;

        Show.Heading(
            2, "The layer's formulas",
            $"x = {string.Join(", ", x)}; gamma = {Gamma}, beta = {Beta}, epsilon = {Epsilon}, momentum = " +
            $"{Momentum}; the moving mean m starts at 0, the moving variance v at 1. In training mode " +
            "y = gamma (x - mean) / sqrt(variance + epsilon) + beta and m = 0.99 m + 0.01 mean, the same for v; in " +
            "inference mode m and v replace mean and variance.");
        Show.Table(
            ["", "by hand", "by the layer"],
            [
                Row("mean of the batch", mean, pass.Mean()[0]),
                .. x.Select((value, i) => Row(
                    $"training, x = {value}", Normalized(value, mean, variance), training[i])),
                Row("moving mean", movingMean, pass.NextState.MovingMean[0]),
                Row("moving variance", movingVariance, pass.NextState.MovingVariance[0]),
                .. x.Select((value, i) => Row(
                    $"inference, x = {value}", Normalized(value, movingMean, movingVariance), inference[i])),
            ]);
        Show.Text(
            "After one batch, 99 % of the moving statistics are still their start values, and inference is far from " +
            $"training. The state says so: its InitialWeight is {pass.NextState.InitialWeight:0.00}.");
    }

    static string[] Row(string name, double byHand, double byLayer) =>
        [name, $"{byHand:0.000000}", $"{byLayer:0.000000}"];
}
