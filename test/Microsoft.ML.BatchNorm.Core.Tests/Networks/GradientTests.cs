using Gradients = System.Collections.Generic.Dictionary<string, double[]>;
using States =
    System.Collections.Generic.Dictionary<string, Microsoft.ML.BatchNorm.BatchNormalizationState>;

namespace Microsoft.ML.BatchNorm.Tests.Networks;

/// <summary>One step of the CPU engine against the formulas in double, layer by layer and loss by loss.</summary>
[TestClass]
public sealed class GradientTests
{
    const double Tolerance = 3e-6;

    static BatchNormalizationOptions Keras => BatchNormalizationOptions.Keras;

    static IEnumerable<object[]> Networks =>
    [
        ["dense alone", Network.Input(5).Dense(3)],
        ["dense without bias", Network.Input(5).Dense(20, useBias: false).Dense(3)],
        ["widths of whole and broken panels", Network.Input(33).Dense(48).Tanh().Dense(70).Tanh().Dense(3)],
        ["ReLU", Network.Input(5).Dense(17).ReLU().Dense(3)],
        ["LeakyReLU", Network.Input(5).Dense(17).LeakyReLU(0.2).Dense(3)],
        ["LeakyReLU with a negative slope", Network.Input(5).BatchNormalization().LeakyReLU(-0.2).Dense(3)],
        ["Gelu", Network.Input(5).Dense(17).Gelu().Dense(3)],
        ["Sigmoid", Network.Input(5).Dense(17).Sigmoid().Dense(3)],
        ["Tanh", Network.Input(5).Dense(17).Tanh().Dense(3)],
        ["SiLU", Network.Input(5).Dense(17).SiLU().Dense(3)],
        ["HardSwish", Wide().HardSwish().Dense(3)],
        ["HardSigmoid", Wide().HardSigmoid().Dense(3)],
        ["ReLU6", Wide().ReLU6().Dense(3)],
        ["batch normalization and ReLU6", Network.Input(5).Dense(40).BatchNormalization().ReLU6().Dense(3)],
        ["a fixed map and ReLU6", Wide().BatchNormalization(Keras with { UpdateStatistics = false }).ReLU6().Dense(3)],
        ["batch normalization and SiLU", Network.Input(5).Dense(40).BatchNormalization().SiLU().Dense(3)],
        ["dropout of nothing", Network.Input(5).Dense(17).Dropout(0).Tanh().Dense(3)],
        ["batch normalization first", Network.Input(5).BatchNormalization().Dense(3)],
        ["batch normalization last", Network.Input(5).Dense(3).BatchNormalization()],
        ["batch normalization and ReLU", Network.Input(5).Dense(40).BatchNormalization().ReLU().Dense(3)],
        ["batch normalization and LeakyReLU", Network.Input(5).Dense(40).BatchNormalization().LeakyReLU().Dense(3)],
        ["batch normalization and Gelu", Network.Input(5).Dense(40).BatchNormalization().Gelu().Dense(3)],
        [
            "two blocks",
            Network.Input(5).Dense(40).BatchNormalization().ReLU().Dense(20).BatchNormalization().ReLU().Dense(3),
        ],
        [
            "PyTorch's",
            Network.Input(5).WithPreset(NetworkPreset.PyTorch).Dense(9).BatchNormalization().LeakyReLU().Dense(3),
        ],
        ["without scale", Normalized(Keras with { Scale = false })],
        ["without center", Normalized(Keras with { Center = false })],
        ["without both", Normalized(Keras with { Scale = false, Center = false })],
        ["statistics frozen", Normalized(Keras with { UpdateStatistics = false })],
        ["affine frozen", Normalized(Keras with { TrainAffine = false })],
        ["no moving statistics", Normalized(Keras with { TrackMovingStatistics = false })],
        ["cumulative", Normalized(Keras with { MovingStatistics = MovingStatistics.Cumulative })],
        ["population", Normalized(Keras with { MovingStatistics = MovingStatistics.Population })],
        ["renormalization", Normalized(Keras with { Renorm = new() { RMin = 0.5, RMax = 2, DMax = 1 } })],
        ["virtual batches of 16", Normalized(Keras with { VirtualBatchSize = 16 })],
        ["virtual batches of 7", Normalized(
            Keras with { VirtualBatchSize = 7, VarianceConvention = VarianceConvention.Sample })],
        ["regularized", Normalized(
            Keras with { GammaRegularizer = Regularizer.L1L2(0.01, 0.02), BetaRegularizer = Regularizer.L2(0.03) })],
        ["images by channel", Image(axis: 1)],
        ["images by height", Image(axis: 2)],
        ["images by width", Image(axis: 3)],
        [
            "images of long runs",
            Network.Input(3, 7, 5).BatchNormalization().ReLU().BatchNormalization().Flatten().Dense(3),
        ],
        [
            "fixed maps of images",
            Network.Input(3, 7, 5).BatchNormalization().Tanh()
                .BatchNormalization(Keras with { UpdateStatistics = false }).ReLU().Flatten().Dense(3),
        ],
    ];

    /// <summary>Values on both sides of 3 and 6, where functions have corners.</summary>
    static Network Wide() => Network.Input(5).Dense(40, kernelInitializer: KernelInitializer.HeNormal)
        .Dense(40, kernelInitializer: KernelInitializer.HeNormal)
        .Dense(17, kernelInitializer: KernelInitializer.HeNormal);

    static Network Normalized(BatchNormalizationOptions options) =>
        Network.Input(5).Dense(20).BatchNormalization(options, name: "normalization").ReLU().Dense(3);

    static Network Image(int axis) =>
        Network.Input(3, 2, 4).BatchNormalization(axis: 1).BatchNormalization(axis: axis).ReLU().Flatten().Dense(3);

    static IEnumerable<object[]> Losses =>
    [
        [Loss.SoftmaxCrossEntropy, 3], [Loss.SoftmaxCrossEntropy, 37], [Loss.BinaryCrossEntropy, 1],
        [Loss.BinaryCrossEntropy, 20], [Loss.MeanSquaredError, 1], [Loss.MeanSquaredError, 3],
        [Loss.MeanAbsoluteError, 3], [Loss.Huber(), 3], [Loss.Huber(0.3), 1],
    ];

    public static string Named(System.Reflection.MethodInfo method, object[] data) => $"{method.Name}: {data[0]}";

    [TestMethod]
    [DynamicData(nameof(Networks), DynamicDataDisplayName = nameof(Named))]
    public void A_step_follows_the_gradient_of_the_formulas(string name, Network network)
    {
        foreach (int rows in new[] { 40, 64, 150 })
            Compare(new Lesson(network, rows: rows), $"{name}, {rows} rows");
    }

    [TestMethod]
    [DynamicData(nameof(Losses))]
    public void Every_loss_and_its_gradient_are_those_of_the_formulas(Loss loss, int outputs)
    {
        Network network = Network.Input(4).Dense(10).BatchNormalization().Tanh().Dense(outputs);
        Compare(new Lesson(network, new TrainingOptions { Loss = loss }), $"{loss}");
        Compare(new Lesson(network, new TrainingOptions { Loss = loss }, weighted: true), $"{loss}, weighted");
    }

    static Loss[] SmoothLosses =>
        [Loss.SoftmaxCrossEntropy, Loss.BinaryCrossEntropy, Loss.MeanSquaredError, Loss.Huber()];

    [TestMethod]
    public void The_formulas_have_the_slopes_that_differences_have()
    {
        foreach (Activation activation in Enum.GetValues<Activation>())
        {
            foreach (Loss loss in SmoothLosses)
            {
                Network network = Network.Input(3).Dense(4).BatchNormalization().Add(
                    new ActivationLayer(activation)).Dense(3);
                CompareWithDifferences(new Lesson(network, new TrainingOptions { Loss = loss }, rows: 9));
            }
        }
    }

    [TestMethod]
    [DataRow(Activation.HardSwish, -3, 3)]
    [DataRow(Activation.HardSigmoid, -3, 3)]
    [DataRow(Activation.ReLU6, 0, 6)]
    public void The_formulas_have_the_slopes_that_differences_have_beyond_the_corners(
        Activation activation, float lower, float upper)
    {
        Network network = Network.Input(3).Dense(4).BatchNormalization().Add(
            new ActivationLayer(activation)).Dense(3);
        var lesson = new Lesson(network, new TrainingOptions { Loss = Loss.MeanSquaredError }, rows: 9);
        EnlargeGamma(lesson, lower, upper);
        CompareWithDifferences(lesson);
    }

    static IEnumerable<object[]> LargeReLU6 =>
    [
        ["of features", Network.Input(5).Dense(17).BatchNormalization().ReLU6().Dense(3)],
        ["of images", Network.Input(3, 7, 5).BatchNormalization().ReLU6().Flatten().Dense(3)],
        ["of images by height", Network.Input(3, 7, 5).BatchNormalization(axis: 2).ReLU6().Flatten().Dense(3)],
        [
            "of images, ignoring",
            Network.Input(3, 7, 5).BatchNormalization(Keras with { NonFinite = NonFinite.Ignore }).ReLU6()
                .Flatten().Dense(3),
        ],
        [
            "of features, ignoring",
            Network.Input(5).BatchNormalization(Keras with { NonFinite = NonFinite.Ignore }).ReLU6().Dense(3),
        ],
        [
            "a fixed map of images, ignoring",
            Network.Input(3, 7, 5)
                .BatchNormalization(Keras with { NonFinite = NonFinite.Ignore, UpdateStatistics = false }).ReLU6()
                .Flatten().Dense(3),
        ],
    ];

    [TestMethod]
    [DynamicData(nameof(LargeReLU6), DynamicDataDisplayName = nameof(Named))]
    public void A_ReLU6_in_the_passes_of_a_normalization_cuts_off_on_both_sides(string name, Network network)
    {
        foreach (int rows in new[] { 40, 150 })
        {
            var lesson = new Lesson(network, rows: rows);
            if (network.IgnoresNonFinite)
            {
                for (int i = 0; i < lesson.Features.Length; i += 11)
                    lesson.Features[i] = i % 2 == 0 ? float.NegativeInfinity : float.PositiveInfinity;
            }
            EnlargeGamma(lesson, 0, 6);
            Compare(lesson, $"{name}, {rows} rows");
        }
    }

    /// <summary>Many values lie beyond the corners of the activation then.</summary>
    static void EnlargeGamma(Lesson lesson, float lower, float upper)
    {
        const string path = "batch_normalization";
        BatchNormalizationState state = lesson.State[path].BatchNormalization!;
        float[] gamma = Array.ConvertAll(state.Gamma.ToArray(), value => 5 * value);
        float[] beta = [.. Enumerable.Repeat((lower + upper) / 2, gamma.Length)];
        lesson.State = lesson.State.With(path, new LayerState(state.WithAffine(gamma, beta)));
        double[] values = new NaiveNetwork(lesson.Network.Until(path), lesson.State).Forward(
            Sample.Widen(lesson.Features), lesson.Data.Rows, training: true);
        Assert.IsGreaterThan(values.Length / 10, values.Count(value => value < lower));
        Assert.IsGreaterThan(values.Length / 10, values.Count(value => value > upper));
    }

    internal static void Compare(Lesson lesson, string what)
    {
        (Gradients expected, double loss, States next) = lesson.Expected();
        (Dictionary<string, double[]> actual, double actualLoss, NetworkState after) = lesson.Gradients();
        Assert.AreEqual(loss, actualLoss, 2e-6 * Math.Max(1, Math.Abs(loss)), $"{what}, loss");
        foreach ((string name, double[] gradient) in expected)
        {
            bool trains = lesson.Network.Nodes.Single(
                node => name.StartsWith($"{node.Path}/", StringComparison.Ordinal))
                .TrainableCount > 0;
            Agreement.Within(
                Tolerance, trains ? gradient : new double[gradient.Length], actual[name], $"{what}, {name}");
        }
        foreach ((string path, BatchNormalizationState state) in next)
            CompareStates(state, after[path].BatchNormalization!, $"{what}, {path}");
    }

    static void CompareStates(BatchNormalizationState expected, BatchNormalizationState actual, string what)
    {
        Agreement.Within(Tolerance, expected.MovingMean, actual.MovingMean, $"{what}, moving mean");
        Agreement.Within(Tolerance, expected.MovingVariance, actual.MovingVariance, $"{what}, moving variance");
        Assert.AreEqual(expected.BatchesSeen, actual.BatchesSeen, $"{what}, batches");
        Assert.AreEqual(expected.InitialWeight, actual.InitialWeight, $"{what}, initial weight");
        Assert.AreEqual(expected.GetPopulation() is null, actual.GetPopulation() is null, $"{what}, population");
        if (expected.Renorm is not { } renorm)
            return;
        Agreement.Within(Tolerance, renorm.Mean, actual.Renorm!.Mean, $"{what}, renorm mean");
        Agreement.Within(
            Tolerance, renorm.StandardDeviation, actual.Renorm.StandardDeviation, $"{what}, renorm deviation");
        Agreement.Within(
            Tolerance, renorm.MovingStandardDeviation, actual.Renorm.MovingStandardDeviation,
            $"{what}, moving deviation");
    }

    internal static void CompareWithDifferences(Lesson lesson)
    {
        const float h = 1f / 1024;
        Dictionary<string, double[]> gradients = lesson.Expected().Gradients;
        foreach (NetworkNode node in lesson.Network.Nodes.Where(
            node => lesson.State.TryGet(node.Path)?.Kernel.IsEmpty == false))
        {
            LayerState layer = lesson.State[node.Path];
            for (int i = 0; i < layer.Kernel.Length; i++)
            {
                double slope = (LossWith(lesson, node.Path, i, h) - LossWith(lesson, node.Path, i, -h)) / (2 * h);
                Assert.AreEqual(
                    slope, gradients[$"{node.Path}/kernel"][i], 1e-4, $"{node.Path}, {i}, {lesson.Options.Loss}");
            }
        }
    }

    static double LossWith(Lesson lesson, string path, int index, float change)
    {
        float[] kernel = lesson.State[path].Kernel.ToArray();
        kernel[index] += change;
        var naive = new NaiveNetwork(
            lesson.Network, lesson.State.With(path, new LayerState(kernel, lesson.State[path].Bias)));
        double[] outputs = naive.Forward(Sample.Widen(lesson.Features), lesson.Data.Rows, training: true);
        return NaiveLoss.Of(
            lesson.Options.Loss, outputs, lesson.Targets, [.. Enumerable.Repeat(1.0, lesson.Data.Rows)]).Value;
    }
}
