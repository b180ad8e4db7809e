namespace Microsoft.ML.BatchNorm.Tests.Options;

[TestClass]
public sealed class OptionsTests
{
    [TestMethod]
    public void The_presets_are_those_of_their_frameworks()
    {
        BatchNormalizationOptions keras = BatchNormalizationOptions.Keras, torch = BatchNormalizationOptions.PyTorch;
        Assert.AreEqual(
            (null, 0.99, 1e-3, MovingStatistics.Exponential, VarianceConvention.Population),
            (keras.Axis, keras.Momentum, keras.Epsilon, keras.MovingStatistics, keras.VarianceConvention));
        Assert.AreEqual(
            (null, 0.9, 1e-5, MovingStatistics.Exponential, VarianceConvention.Sample),
            (torch.Axis, torch.Momentum, torch.Epsilon, torch.MovingStatistics, torch.VarianceConvention));
        Assert.AreEqual(new BatchNormalizationOptions().Or(keras), keras);
        Assert.AreEqual(torch, torch.Or(keras));
        Assert.IsTrue(
            keras is { Center: true, Scale: true, Trainable: true, UpdateStatistics: true, TrainAffine: true });
        BatchNormalizationState state = BatchNormalization.Initialize(keras, 2);
        Agreement.SameBits<double>([0, 0], state.MovingMean);
        Agreement.SameBits<double>([1, 1], state.MovingVariance);
        Agreement.SameBits<float>([1, 1], state.Gamma);
        Agreement.SameBits<float>([0, 0], state.Beta);
    }

    static IEnumerable<object[]> OutOfRange =>
    [
        ["Momentum", "1.5", () => new BatchNormalizationOptions { Momentum = 1.5 }],
        ["Momentum", "NaN", () => new BatchNormalizationOptions { Momentum = double.NaN }],
        ["Epsilon", "-0.1", () => new BatchNormalizationOptions { Epsilon = -0.1 }],
        ["Epsilon", "Infinity", () => new BatchNormalizationOptions { Epsilon = double.PositiveInfinity }],
        ["VirtualBatchSize", "0", () => new BatchNormalizationOptions { VirtualBatchSize = 0 }],
        ["MovingStatistics", "7", () => new BatchNormalizationOptions { MovingStatistics = (MovingStatistics)7 }],
        ["VarianceConvention", "7", () => new BatchNormalizationOptions { VarianceConvention = (VarianceConvention)7 }],
        ["NonFinite", "-1", () => new BatchNormalizationOptions { NonFinite = (NonFinite)(-1) }],
        ["RMin", "-1", () => new RenormOptions { RMin = -1 }],
        ["RMax", "NaN", () => new RenormOptions { RMax = double.NaN }],
        ["DMax", "-2", () => new RenormOptions { DMax = -2 }],
        ["Momentum", "2", () => new RenormOptions { Momentum = 2 }],
        ["value", "NaN", () => Initializer.Constant(double.NaN)],
        ["minValue", "2", () => Initializer.Uniform(2, 1)],
        ["standardDeviation", "-1", () => Initializer.Normal(0, -1)],
        ["l1", "-1", () => Regularizer.L1(-1)],
        ["l2", "-1", () => Regularizer.L1L2(0, -1)],
        ["maxValue", "-1", () => Constraint.MaxNorm(-1)],
        ["minValue", "2", () => Constraint.MinMaxNorm(2, 1)],
        ["rate", "1.1", () => Constraint.MinMaxNorm(0, 1, 1.1)],
    ];

    [TestMethod]
    [DynamicData(nameof(OutOfRange))]
    public void A_value_out_of_range_is_named(string name, string value, Func<object> create)
    {
        ArgumentOutOfRangeException error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => create());
        Assert.AreEqual(name, error.ParamName);
        StringAssert.Contains(error.Message, name + " must be");
        StringAssert.Contains(error.Message, value);
    }

    [TestMethod]
    public void Options_that_contradict_each_other_are_named_wherever_they_are_used()
    {
        (BatchNormalizationOptions, string)[] contradictions =
        [
            (new() { Renorm = new() { RMin = 2, RMax = 1 } }, "RMin"),
            (new() { Renorm = new(), VirtualBatchSize = 4 }, "VirtualBatchSize"),
            (new() { Renorm = new(), MovingStatistics = MovingStatistics.Population }, "Population"),
            (new() { Renorm = new(), TrackMovingStatistics = false }, "TrackMovingStatistics"),
        ];
        BatchNormalizationState state = Sample.State(new() { Renorm = new() }, 1);
        ChannelLayout layout = ChannelLayout.Features(1, 1);
        foreach ((BatchNormalizationOptions options, string name) in contradictions)
        {
            Action[] uses =
            [
                options.Validate,
                () => BatchNormalization.Initialize(options, 1),
                () => BatchNormalization.Forward(options, state, layout, new float[1], new float[1], training: true),
                () => BatchNormalization.UpdateMovingStatistics(options, state, layout, new float[1]),
                () => new AffineMap(options, state),
            ];
            foreach (Action use in uses)
                StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(use).Message, name);
        }
    }

    [TestMethod]
    public void A_missing_initializer_is_an_error()
    {
        Assert.ThrowsExactly<ArgumentNullException>(() => new BatchNormalizationOptions { GammaInitializer = null! });
        Assert.ThrowsExactly<ArgumentException>(
            () => BatchNormalization.Initialize(new() { MovingVarianceInitializer = Initializer.Constant(-1) }, 1));
    }

    [TestMethod]
    public void Initializers_have_the_distribution_they_name_and_the_same_values_for_a_seed()
    {
        double[] uniform = new double[100_000], normal = new double[100_000], again = new double[100_000];
        Initializer.Uniform(-2, 4, seed: 7).Fill(uniform);
        Initializer.Normal(3, 0.5, seed: 7).Fill(normal);
        Initializer.Normal(3, 0.5, seed: 7).Fill(again);
        Agreement.SameBits<double>(normal, again);
        Assert.IsTrue(uniform.Min() is >= -2 and < -1.99 && uniform.Max() is < 4 and > 3.99);
        Assert.AreEqual(1, uniform.Average(), 0.02);
        Assert.AreEqual(3, normal.Average(), 0.01);
        Assert.AreEqual(0.5, Math.Sqrt(normal.Average(value => (value - 3) * (value - 3))), 0.01);
        Initializer.Normal(3, 0.5, seed: 8).Fill(again);
        Assert.AreNotEqual(normal[0], again[0]);
        BatchNormalizationState state = BatchNormalization.Initialize(
            new() { GammaInitializer = Initializer.Constant(2), BetaInitializer = Initializer.Uniform(seed: 3) }, 3);
        Agreement.SameBits<float>([2, 2, 2], state.Gamma);
        Assert.AreNotEqual(state.Beta[0], state.Beta[1]);
    }

    [TestMethod]
    public void Penalties_and_their_gradients_follow_the_formulas()
    {
        float[] weights = [2, -3, 0];
        (Regularizer, double, float[])[] cases =
        [
            (Regularizer.L1(), 0.05, [0.01f, -0.01f, 0]),
            (Regularizer.L2(), 0.13, [0.04f, -0.06f, 0]),
            (Regularizer.L1L2(0.1, 0.5), 0.5 + 6.5, [2.1f, -3.1f, 0]),
            (Regularizer.L1L2(), 0, [0, 0, 0]),
        ];
        foreach ((Regularizer regularizer, double penalty, float[] expected) in cases)
        {
            Assert.AreEqual(penalty, regularizer.Penalty(weights), 1e-12);
            float[] gradient = [1, 1, 1];
            regularizer.AddGradient(weights, gradient);
            Agreement.Within(1e-6, [.. expected.Select(value => value + 1.0)], gradient);
        }
        Assert.ThrowsExactly<ArgumentException>(() => Regularizer.L1().AddGradient(weights, new float[2]));
    }

    [TestMethod]
    public void Constraints_project_as_Keras_does()
    {
        (Constraint, float[], double[])[] cases =
        [
            (Constraint.NonNegative, [-1, 0, 2], [0, 0, 2]),
            (Constraint.UnitNorm, [3, 4], [0.6, 0.8]),
            (Constraint.MaxNorm(), [3, 4], [1.2, 1.6]),
            (Constraint.MaxNorm(10), [3, 4], [3, 4]),
            (Constraint.MinMaxNorm(), [3, 4], [0.6, 0.8]),
            (Constraint.MinMaxNorm(10, 20), [3, 4], [6, 8]),
            (Constraint.MinMaxNorm(0, 1, rate: 0.5), [3, 4], [1.8, 2.4]),
            (Constraint.MaxNorm(), [0, 0], [0, 0]),
        ];
        foreach ((Constraint constraint, float[] weights, double[] expected) in cases)
        {
            constraint.Project(weights);
            Agreement.Within(1e-6, expected, weights, constraint.ToString());
        }
    }
}
