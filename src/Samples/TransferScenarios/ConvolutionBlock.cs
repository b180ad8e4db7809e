using Microsoft.ML.BatchNorm;

namespace TransferScenarios;

/// <summary>
/// A block of Conv2D, BatchNormalization and ReLU: a batch in training mode, then one image in evaluation mode.
/// </summary>
static class ConvolutionBlock
{
    const int Images = 4;

    public static void Run()
    {
        // PyTorch's numbers: epsilon 1e-5 and momentum=0.1, which is a Momentum of 0.9 here.
        Network block = Network.Input(3, 32, 32).WithPreset(NetworkPreset.PyTorch)
            .Conv2D(16, 3, padding: 1).BatchNormalization(name: "norm").ReLU();
        NetworkState state = block.Initialize(seed: 1);
        var random = new Random(1);
        float[] images = new float[Images * block.InputShape.Size];
        foreach (ref float pixel in images.AsSpan())
            pixel = 2 * random.NextSingle() - 1;

        // In training mode, Forward also returns the next state, whose moving statistics have moved.
        NetworkState trained = block.Forward(state, images, training: true).NextState;
        BatchNormalizationState before = state["norm"].BatchNormalization!, after = trained["norm"].BatchNormalization!;

        // The same with the layer's own function, which also returns the normalized batch.
        NetworkNode node = block.GetNode("norm");
        var layer = (BatchNormalizationLayer)node.Layer;
        Network convolution = block.Until("conv2d");
        float[] x = new NetworkModel(convolution, state.For(convolution)).Predict(images), y = new float[x.Length];
        ForwardPass pass = BatchNormalization.Forward(
            layer.Options, before, layer.Layout(node.Input, Images), x, y, training: true);
        var normalized = new BatchStatistics(channels: 16);
        normalized.Add(layer.Layout(node.Input, Images), y);

        var model = new NetworkModel(block, trained);
        ReadOnlySpan<float> image = images.AsSpan(0, block.InputShape.Size);
        float[] alone = model.Predict(image), again = model.Predict(image), all = model.Predict(images);

        Show.Heading(
            5, "A convolutional block, in training and in evaluation mode",
            "Conv2D of 16 filters of 3 x 3, BatchNormalization, ReLU. In training mode, a batch of random images " +
            $"{Shape(Images, block.InputShape)} becomes {Shape(Images, block.OutputShape)}, and each running number " +
            "is 0.9 of its old value plus 0.1 of the batch's:");
        Show.Table(
            ["", "channel 0", "channel 1", "channel 2"],
            Row("batch's mean", pass.Mean()),
            Row("batch's deviation", [.. pass.InverseDeviation().ToArray().Select(inverse => 1 / inverse)]),
            Row("normalized: mean", normalized.Mean),
            Row("normalized: variance", [.. Enumerable.Range(0, 16).Select(c => normalized.Variance(c))]),
            Row("running mean before", before.MovingMean),
            Row("running mean after", after.MovingMean),
            Row("the same by the layer's Forward", pass.NextState.MovingMean),
            Row("running variance before", before.MovingVariance),
            Row("running variance after", after.MovingVariance),
            Row("the same by the layer's Forward", pass.NextState.MovingVariance));
        Show.Table(
            ["evaluation mode", "shape in", "shape out", "same bits"],
            ["one image, twice", Shape(1, block.InputShape), Shape(1, block.OutputShape),
                Show.YesNo(alone.AsSpan().SequenceEqual(again))],
            [$"alone, and as one of {Images}", Shape(Images, block.InputShape), Shape(Images, block.OutputShape),
                Show.YesNo(alone.AsSpan().SequenceEqual(all.AsSpan(0, alone.Length)))]);
    }

    static string Shape(int rows, TensorShape row) => $"[{string.Join(", ", row.WithRows(rows))}]";

    static string[] Row(string name, ReadOnlySpan<double> values) =>
        [name, .. values[..3].ToArray().Select(value => $"{value:0.00000;-0.00000;0.00000}")];
}
