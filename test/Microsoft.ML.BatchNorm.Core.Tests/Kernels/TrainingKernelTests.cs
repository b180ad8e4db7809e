using System.Runtime.Intrinsics;
using Microsoft.ML.BatchNorm.Tests.Networks;

namespace Microsoft.ML.BatchNorm.Tests.Kernels;

/// <summary>The arithmetic of training, value by value.</summary>
[TestClass]
public sealed class TrainingKernelTests
{
    [TestMethod]
    public void Philox_draws_the_numbers_of_its_authors()
    {
        // The known answers of Random123's philox4x32-10.
        CheckPhilox(0, 0, [0, 0, 0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]);
        const uint ones = uint.MaxValue;
        CheckPhilox(ones, ones, [ones, ones, ones, ones], [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]);
    }

    static void CheckPhilox(uint firstKey, uint secondKey, uint[] counter, uint[] expected)
    {
        Vector512<ulong>[] words = Array.ConvertAll(counter, word => Vector512.Create((ulong)word));
        RandomNumbers.Philox(firstKey, secondKey, ref words[0], ref words[1], ref words[2], ref words[3]);
        for (int word = 0; word < 4; word++)
            Assert.AreEqual(Vector512.Create((ulong)expected[word]), words[word]);
    }

    [TestMethod]
    public void The_normal_distribution_is_exact_from_the_middle_to_the_tails()
    {
        for (double x = -7; x <= 7; x += 0.01)
        {
            double actual = NormalDistribution.Cumulative(Vector512.Create(x))[3];
            double expected = NaiveActivation.Normal(x);
            Assert.AreEqual(expected, actual, 2e-12 * expected + 1e-15, $"{x}");
        }
        Assert.AreEqual(7.6198530241605e-24, NormalDistribution.Cumulative(Vector512.Create(-10.0))[0], 1e-34);
    }

    [TestMethod]
    public void Activations_are_those_of_the_formulas_and_hold_at_the_ends()
    {
        Check(default(ReLUFunction), Activation.ReLU);
        Check(new LeakyReLUFunction(0.3f), Activation.LeakyReLU);
        Check(default(GeluFunction), Activation.Gelu);
        Check(default(SigmoidFunction), Activation.Sigmoid);
        Check(default(TanhFunction), Activation.Tanh);
        // Its slope has x·(1 − σ(x)), where 1 − σ(x) has the rounding of 1.
        Check(default(SiLUFunction), Activation.SiLU, slopeTolerance: 6e-7);
        Check(default(HardSwishFunction), Activation.HardSwish);
        Check(default(HardSigmoidFunction), Activation.HardSigmoid);
        Check(default(ReLU6Function), Activation.ReLU6);
    }

    static void Check<TFunction>(TFunction function, Activation activation, double slopeTolerance = 3e-7)
        where TFunction : struct, IActivationFunction
    {
        var layer = new ActivationLayer(activation);
        float[] points =
            [-1e30f, -200, -20, -6, -3, -1, -0.1f, -1e-6f, 0, 1e-20f, 1e-6f, 0.1f, 0.7f, 3, 6, 20, 200, 1e30f];
        foreach (float x in points)
        {
            Vector512<float> value = Vector512.Create(x), y = function.Forward(value);
            double expected = NaiveActivation.Value(layer, x), slope = NaiveActivation.Slope(layer, x);
            Assert.AreEqual(expected, y[5], 3e-7 * Math.Abs(expected) + 1e-37, $"{activation} of {x}");
            Vector512<float> gradient = function.Backward(value, y, Vector512.Create(2f));
            double bound = slopeTolerance * Math.Max(1, Math.Abs(slope));
            Assert.AreEqual(2 * slope, gradient[5], bound, $"slope of {activation} at {x}");
        }
        Assert.IsTrue(float.IsNaN(function.Forward(Vector512.Create(float.NaN))[0]), $"{activation} of NaN");
    }

    [TestMethod]
    public void Slopes_of_infinite_values_are_the_limits()
    {
        CheckLimits(default(ReLUFunction), 0, 1);
        CheckLimits(new LeakyReLUFunction(0.3f), 0.3f, 1);
        CheckLimits(default(GeluFunction), 0, 1);
        CheckLimits(default(SigmoidFunction), 0, 0);
        CheckLimits(default(TanhFunction), 0, 0);
        CheckLimits(default(SiLUFunction), 0, 1);
        CheckLimits(default(HardSwishFunction), 0, 1);
        CheckLimits(default(HardSigmoidFunction), 0, 0);
        CheckLimits(default(ReLU6Function), 0, 0);
    }

    static void CheckLimits<TFunction>(TFunction function, float below, float above)
        where TFunction : struct, IActivationFunction
    {
        foreach ((float x, float slope) in new[] { (float.NegativeInfinity, below), (float.PositiveInfinity, above) })
        {
            Vector512<float> value = Vector512.Create(x);
            Vector512<float> gradient = function.Backward(value, function.Forward(value), Vector512.Create(2f));
            Assert.AreEqual(2 * slope, gradient[5], $"{typeof(TFunction).Name} at {x}");
        }
    }
}
