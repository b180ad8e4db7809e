using Microsoft.ML.BatchNorm;

namespace TransferScenarios;

/// <summary>A Conv2D, BatchNormalization, ReLU block: a batch in training mode, then one image in evaluation mode.</summary>
static class ConvolutionBlock
{
    const int Images = 4;

    public static void Run()
    {
        // PyTorch's numbers: momentum=0.1, which is a Momentum of 0.9 here, and epsilon 1e-5.
        Network block = Network.Input(3, 32, 32).WithPreset(NetworkPreset.PyTorch)
            .Conv2D(16, 3, padding: 1).BatchNormalization(name: "norm").ReLU();
        NetworkState state = block.Initialize(seed: 1);
        var random = new Random(1);
        float[] images = [.. Enumerable.Range(0, Images * block.InputShape.Size).Select(_ => random.NextSingle())];

        // One step in training mode, with a learning rate of 0: nothing changes but the moving statistics.
        var data = new TrainingData(Images, images, new float[Images * block.OutputShape.Size]);
        var options = new TrainingOptions
        {
            Loss = Loss.MeanSquaredError, Optimizer = Optimizer.Sgd(0), Epochs = 1, BatchSize = Images,
        };
        NetworkState trained = NetworkTrainer.Train(block, state, data, options).State;
        BatchNormalizationState before = state["norm"].BatchNormalization!, after = trained["norm"].BatchNormalization!;

        // The same by the layer's own call, which hands out what the batch becomes.
        NetworkNode node = block.GetNode("norm");
        var layer = (BatchNormalizationLayer)node.Layer;
        float[] x = new float[Images * node.Input.Size], y = new float[x.Length];
        new NetworkModel(block.Until("conv2d"), new([new("conv2d", state["conv2d"])])).Predict(images, x);
        ForwardPass pass = BatchNormalization.Forward(
            layer.EffectiveOptions, before, layer.Layout(node.Input, Images), x, y, training: true);
        BatchStatistics statistics = BatchStatistics.Of<float>(layer.Layout(node.Input, Images), y);

        var model = new NetworkModel(block, trained);
        float[] alone = new float[block.OutputShape.Size], again = new float[alone.Length], all = new float[y.Length];
        model.Predict(images.AsSpan(0, block.InputShape.Size), alone);
        model.Predict(images.AsSpan(0, block.InputShape.Size), again);
        model.Predict(images, all);

        Show.Heading(
            5, "A convolutional block, in training and in evaluation mode",
            $"Conv2D of 16 filters of 3 x 3, BatchNormalization, ReLU, on {Images} random images. In training mode:");
        Show.Table(
            ["", "channel 0", "channel 1", "channel 2"],
            Row("batch mean", pass.Mean()),
            Row("normalized: mean", statistics.Mean),
            Row("normalized: variance", [.. Enumerable.Range(0, 16).Select(channel => statistics.Variance(channel))]),
            Row("running mean, before", before.MovingMean),
            Row("running mean, after: 0.9 * before + 0.1 * batch", after.MovingMean),
            Row("the same by the layer's own call", pass.NextState.MovingMean),
            Row("running variance, before", before.MovingVariance),
            Row("running variance, after", after.MovingVariance),
            Row("the same by the layer's own call", pass.NextState.MovingVariance));
        Show.Table(
            ["evaluation mode", "input", "output", "deterministic"],
            ["one image, twice", $"[1, {3}, 32, 32]", $"[1, {block.OutputShape.ToString()[1..]}",
                Show.YesNo(alone.AsSpan().SequenceEqual(again))],
            [$"alone, and as one of {Images}", $"[{Images}, 3, 32, 32]", $"[{Images}, {block.OutputShape.ToString()[1..]}",
                Show.YesNo(alone.AsSpan().SequenceEqual(all.AsSpan(0, alone.Length)))]);
    }

    static string[] Row(string name, ReadOnlySpan<double> values) =>
        [name, $"{values[0]:0.000000}", $"{values[1]:0.000000}", $"{values[2]:0.000000}"];
}
