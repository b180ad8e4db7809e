using Microsoft.ML.BatchNorm.Tests.Networks;
using Samples;

namespace Microsoft.ML.BatchNorm.Tests.Scenarios;

/// <summary>The questions that are asked most about batch normalization in transfer learning.</summary>
[TestClass]
public class ScenarioTests
{
    static readonly (Digits Train, Digits Test) digits = Digits.Load();

    static readonly TrainingData known = digits.Train.Between(0, 4).ToData();

    static readonly TrainingData fresh = digits.Train.Between(5, 9).ToData(first: 5);

    static readonly TrainingData freshTest = digits.Test.Between(5, 9).ToData(first: 5);

    /// <summary>A network that knows the digits 0 to 4.</summary>
    static readonly TrainingResult pretrained = Train(
        Network.Input(Digits.PixelCount)
            .Append(Network.Input(Digits.PixelCount)
                .Dense(128, useBias: false).BatchNormalization(name: "norm").ReLU()
                .Dense(64, useBias: false).BatchNormalization(name: "norm_1").ReLU(), "base")
            .Dense(5),
        null, known, new TrainingOptions());

    /// <summary>The same under a new head, for the digits 5 to 9.</summary>
    static readonly Network network = pretrained.Network.WithHead(5);

    static readonly NetworkState state = network.Initialize(pretrained.State, seed: 1);

    [TestMethod]
    public void In_a_training_run_a_frozen_layer_infers_an_unfrozen_one_trains_and_kept_statistics_stay()
    {
        double inference = NaiveLoss(network, training: false), training = NaiveLoss(network, training: true);
        Assert.IsTrue(Math.Abs(inference - training) > 0.1, $"{inference} and {training} tell the modes apart.");
        var options = new TrainingOptions { BatchSize = fresh.Rows, Epochs = 2 };
        BatchNormalizationState before = Norm(state);

        Network frozen = network.Freeze("base/norm*");
        TrainingResult result = Train(frozen, state, fresh, options);
        Assert.AreEqual(inference, result.History[0].Loss, 1e-5);
        Assert.AreEqual(before, Norm(result.State));
        Assert.AreEqual(before, Norm(Train(result.Network, result.State, fresh, options).State));

        result = Train(frozen.Unfreeze("base/norm*"), state, fresh, options with { Epochs = 1 });
        Assert.AreEqual(training, result.History[0].Loss, 1e-5);
        var naive = new NaiveNetwork(network, state);
        naive.Forward(Sample.Widen(fresh.Features.Span), fresh.Rows, training: true);
        Agreement.Within(1e-6, naive.NextStates["base/norm"].MovingMean, Norm(result.State).MovingMean);
        Agreement.Within(1e-6, naive.NextStates["base/norm"].MovingVariance, Norm(result.State).MovingVariance);
        Assert.AreNotEqual(before.MovingMean[0], Norm(result.State).MovingMean[0]);

        Network kept = network.WithBatchNormalization(layer => layer with { UpdateStatistics = false }, "base/norm*");
        result = Train(kept, state, fresh, options);
        Assert.AreEqual(inference, result.History[0].Loss, 1e-5);
        Agreement.SameBits(before.MovingMean, Norm(result.State).MovingMean);
        Agreement.SameBits(before.MovingVariance, Norm(result.State).MovingVariance);
        Assert.IsFalse(before.Gamma.SequenceEqual(Norm(result.State).Gamma));
        Assert.IsFalse(before.Beta.SequenceEqual(Norm(result.State).Beta));
    }

    [TestMethod]
    public void Training_output_moving_update_with_momentum_099_and_inference_output_are_the_formulas()
    {
        const double Gamma = 2, Beta = 1, Epsilon = 1e-3, Mean = 3, Variance = 3.5;
        double[] x = [1, 2, 3, 6];
        double[] training = [.. x.Select(value => Gamma * (value - Mean) / Math.Sqrt(Variance + Epsilon) + Beta)];
        double movingMean = 0.99 * 0 + 0.01 * Mean, movingVariance = 0.99 * 1 + 0.01 * Variance;
        double[] inference =
            [.. x.Select(value => Gamma * (value - movingMean) / Math.Sqrt(movingVariance + Epsilon) + Beta)];

        BatchNormalizationOptions options = BatchNormalizationOptions.Keras;
        BatchNormalizationState start = BatchNormalization.Initialize(options, 1)
            .WithAffine([(float)Gamma], [(float)Beta]);
        ChannelLayout layout = ChannelLayout.Features(4, 1);
        float[] input = Array.ConvertAll(x, value => (float)value), y = new float[4];
        ForwardPass pass = BatchNormalization.Forward(options, start, layout, input, y, training: true);
        Agreement.Within(1e-6, training, y);
        Agreement.Within(1e-12, [movingMean], pass.NextState.MovingMean);
        Agreement.Within(1e-12, [movingVariance], pass.NextState.MovingVariance);
        BatchNormalization.Forward(options, pass.NextState, layout, input, y, training: false);
        Agreement.Within(1e-6, inference, y);

        // The same in a network: a step of training with a learning rate of 0, then a prediction.
        Network layer = Network.Input(1).BatchNormalization(name: "norm");
        TrainingResult step = Train(
            layer, new NetworkState([new("norm", new LayerState(start))]), new TrainingData(4, input, new float[4]),
            new TrainingOptions { Loss = Loss.MeanSquaredError, Optimizer = Optimizer.Sgd(0), Epochs = 1 });
        Assert.AreEqual(training.Average(value => value * value), step.History[0].Loss, 1e-6);
        Agreement.Within(1e-12, [movingMean], step.State["norm"].BatchNormalization!.MovingMean);
        Agreement.Within(1e-12, [movingVariance], step.State["norm"].BatchNormalization!.MovingVariance);
        Agreement.Within(1e-6, inference, Predict(layer, step.State, input));
    }

    [TestMethod]
    public void Prediction_never_moves_the_statistics_a_call_in_training_mode_does_and_the_next_differs_slightly()
    {
        float[] rows = digits.Test.Pixels;
        var model = new NetworkModel(network, state);
        float[] first = Predict(network, state, rows), outputs = new float[first.Length];
        NetworkState before = network.Initialize(pretrained.State, seed: 1);
        for (int i = 0; i < 10; i++)
            model.Predict(rows, outputs);
        Agreement.SameBits<float>(first, outputs);
        Assert.AreEqual(before, model.State);

        NetworkNode node = network.GetNode("base/norm");
        var layer = (BatchNormalizationLayer)node.Layer;
        Network below = Network.Input(Digits.PixelCount).Dense(128, useBias: false, name: "dense");
        float[] x = Predict(below, new NetworkState([new("dense", state["base/dense"])]), rows);
        float[] y = new float[x.Length];
        ForwardPass Call(bool training) => BatchNormalization.Forward(
            layer.Options, Norm(state), layer.Layout(node.Input, digits.Test.Rows), x, y, training);
        Assert.AreSame(Norm(state), Call(training: false).NextState);
        BatchNormalizationState moved = Call(training: true).NextState;
        Assert.AreNotEqual(Norm(state), moved);

        float[] next = Predict(network, state.With("base/norm", new LayerState(moved)), rows);
        float change = next.Zip(first, (now, was) => Math.Abs(now - was)).Max();
        Assert.IsTrue(change > 0 && change < 0.05 * first.Max(Math.Abs), $"The greatest change is {change}.");
        Agreement.SameBits<float>(first, Predict(network, state, rows));
    }

    [TestMethod]
    public void Gamma_and_beta_of_a_frozen_base_stay_while_its_head_learns_and_change_at_a_low_rate_afterwards()
    {
        var options = new TrainingOptions { Optimizer = Optimizer.Adam(1e-2) };
        TrainingResult head = NetworkTrainer.Train(network.Freeze("base"), state, fresh, options, freshTest);
        foreach (string path in state.Paths.Where(path => path.StartsWith("base/", StringComparison.Ordinal)))
            Assert.AreEqual(state[path], head.State[path], path);
        double? reached = head.History[^1].ValidationMetric;
        Assert.IsTrue(reached >= 0.85, $"The head reaches {reached}.");

        Network unfrozen = head.Network.Unfreeze("base")
            .WithBatchNormalization(layer => layer with { UpdateStatistics = false }, "base");
        TrainingResult all = NetworkTrainer.Train(
            unfrozen, head.State, fresh, options with { Optimizer = Optimizer.Adam(1e-4) }, freshTest);
        Assert.IsFalse(Norm(head.State).Gamma.SequenceEqual(Norm(all.State).Gamma));
        Assert.IsFalse(Norm(head.State).Beta.SequenceEqual(Norm(all.State).Beta));
        Agreement.SameBits(Norm(state).MovingMean, Norm(all.State).MovingMean);
        Assert.IsTrue(
            all.History[^1].ValidationMetric > reached,
            $"All layers reach {all.History[^1].ValidationMetric}, the head {reached}.");
    }

    [TestMethod]
    public void A_convolutional_block_trains_on_four_images_and_then_evaluates_one_to_the_same_bits()
    {
        Network block = Network.Input(3, 32, 32).WithPreset(NetworkPreset.PyTorch)
            .Conv2D(16, 3, padding: 1).BatchNormalization(name: "norm").ReLU();
        CollectionAssert.AreEqual(new[] { 4, 16, 32, 32 }, block.OutputShape.WithRows(4));
        NetworkState start = block.Initialize(seed: 1);
        float[] images = Sample.Floats(4 * block.InputShape.Size, seed: 1);
        var naive = new NaiveNetwork(block, start);
        double[] expected = naive.Forward(Sample.Widen(images), 4, training: true);

        TrainingResult step = Train(
            block, start, new TrainingData(4, images, new float[4 * block.OutputShape.Size]),
            new TrainingOptions { Loss = Loss.MeanSquaredError, Optimizer = Optimizer.Sgd(0), Epochs = 1 });
        BatchNormalizationState after = step.State["norm"].BatchNormalization!, next = naive.NextStates["norm"];
        Assert.AreEqual(expected.Average(value => value * value), step.History[0].Loss, 1e-5);
        Agreement.Within(1e-6, next.MovingMean, after.MovingMean);
        Agreement.Within(1e-6, next.MovingVariance, after.MovingVariance);
        Assert.AreEqual(1, after.BatchesSeen);

        float[] one = images[..block.InputShape.Size], output = Predict(block, step.State, one);
        CollectionAssert.AreEqual(new[] { 1, 16, 32, 32 }, block.OutputShape.WithRows(1));
        Agreement.Within(
            1e-5, new NaiveNetwork(block, step.State).Forward(Sample.Widen(one), 1, training: false), output);
        Agreement.SameBits<float>(output, Predict(block, step.State, one));
        Agreement.SameBits(output, Predict(block, step.State, images).AsSpan(0, output.Length));
    }

    static TrainingResult Train(Network network, NetworkState? state, TrainingData data, TrainingOptions options) =>
        NetworkTrainer.Train(network, state ?? network.Initialize(seed: 1), data, options);

    static BatchNormalizationState Norm(NetworkState state) => state["base/norm"].BatchNormalization!;

    static float[] Predict(Network network, NetworkState state, float[] rows)
    {
        float[] outputs = new float[rows.Length / network.InputShape.Size * network.OutputShape.Size];
        new NetworkModel(network, state).Predict(rows, outputs);
        return outputs;
    }

    /// <summary>The loss on the fresh digits, in double.</summary>
    static double NaiveLoss(Network network, bool training)
    {
        double[][] logits =
        [
            .. new NaiveNetwork(network, state).Forward(Sample.Widen(fresh.Features.Span), fresh.Rows, training)
                .Chunk(network.OutputShape.Size),
        ];
        return logits.Select((row, i) => Math.Log(row.Sum(Math.Exp)) - row[(int)fresh.Targets.Span[i]]).Average();
    }
}
