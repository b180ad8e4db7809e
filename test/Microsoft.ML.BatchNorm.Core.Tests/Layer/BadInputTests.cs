namespace Microsoft.ML.BatchNorm.Tests.Layer;

/// <summary>Arguments that do not fit: one exception each, which names the argument and its value.</summary>
[TestClass]
public sealed class BadInputTests
{
    static readonly BatchNormalizationOptions Keras = BatchNormalizationOptions.Keras;
    static readonly BatchNormalizationState State = Sample.State(Keras, 3);
    static readonly ChannelLayout Layout = ChannelLayout.Features(4, 3);

    static void Fails(string name, string fragment, Action call)
    {
        try
        {
            call();
        }
        catch (ArgumentException error)
        {
            Assert.AreEqual(name, error.ParamName);
            StringAssert.Contains(error.Message, fragment);
            return;
        }
        Assert.Fail($"{name}: no ArgumentException.");
    }

    [TestMethod]
    public void A_layout_needs_a_batch_an_axis_and_no_empty_dimension()
    {
        Fails("axis", "Axis 2 does not exist in shape [4, 3]", () => new ChannelLayout([4, 3], 2));
        Fails("axis", "Axis -3 does not exist", () => new ChannelLayout([4, 3], -3));
        Fails("shape", "[0, 3] is empty", () => new ChannelLayout([0, 3]));
        Fails("shape", "[4, -1, 3] is empty", () => new ChannelLayout([4, -1, 3]));
        Fails("shape", "at least two", () => new ChannelLayout([4]));
        Fails("shape", "elements", () => new ChannelLayout([70_000, 70_000]));
        Fails(
            "layout", "layout is empty",
            () => new AffineMap(Keras, Sample.State(Keras, 3)).Apply(default, default(Span<float>), []));
    }

    [TestMethod]
    public void Lengths_and_channels_must_fit_the_layout()
    {
        Fails(
            "x", "11 values",
            () => BatchNormalization.Forward(Keras, State, Layout, new float[11], new float[11], true));
        Fails(
            "y", "11 values",
            () => BatchNormalization.Forward(Keras, State, Layout, new float[12], new float[11], true));
        Fails(
            "mask", "3 entries",
            () => BatchNormalization.Forward(Keras, State, Layout, new float[12], new float[12], true, new bool[3]));
        Fails("state", "3 channels", () => BatchNormalization.Forward(
            Keras, State, ChannelLayout.Features(3, 4), new float[12], new float[12], true));
        Fails("x", "11 values", () => BatchNormalization.UpdateMovingStatistics(Keras, State, Layout, new float[11]));
        Fails(
            "threads", "0",
            () => BatchNormalization.UpdateMovingStatistics(Keras, State, Layout, new float[12], threads: 0));
        Fails("y", "2 values", () => new AffineMap(Keras, State).Apply(new float[3], new float[2]));
    }

    [TestMethod]
    public void Output_that_overlaps_the_input_halfway_is_refused()
    {
        float[] memory = new float[20];
        Fails("y", "overlaps", () => BatchNormalization.Forward(
            Keras, State, Layout, memory.AsSpan(0, 12), memory.AsSpan(3, 12), true));
    }

    [TestMethod]
    public void A_state_must_have_what_the_options_ask_for()
    {
        var bare = new BatchNormalizationState([0, 0, 0], [1, 1, 1]);
        Fails("state", "no Gamma", () => new AffineMap(Keras, bare));
        Fails("state", "a Beta", () => new AffineMap(Keras with { Center = false }, State));
        Fails("state", "Renorm", () => new AffineMap(Keras with { Renorm = new() }, State));
    }

    [TestMethod]
    public void A_state_refuses_values_that_no_layer_has()
    {
        Fails("movingMean", "at least one channel", () => new BatchNormalizationState([], []));
        Fails("movingMean", "channel 1 is NaN", () => new BatchNormalizationState([0, double.NaN], [1, 1]));
        Fails("movingVariance", "channel 0 is -1", () => new BatchNormalizationState([0, 0], [-1, 1]));
        Fails("movingVariance", "1 values for 2 channels", () => new BatchNormalizationState([0, 0], [1]));
        Fails(
            "gamma", "channel 1 is Infinity",
            () => new BatchNormalizationState([0, 0], [1, 1], [1, float.PositiveInfinity]));
        Fails("beta", "3 values for 2 channels", () => new BatchNormalizationState([0, 0], [1, 1], [1, 1], [1, 1, 1]));
        Fails("batchesSeen", "-1", () => new BatchNormalizationState([0], [1], batchesSeen: -1));
        Fails("renorm", "1 channels", () => new BatchNormalizationState([0, 0], [1, 1], renorm: new([1], [0], [1])));
        Fails("statistics", "2 channels", () => State.WithPopulation(new BatchStatistics(2)));
        Fails("gamma", "2 values", () => State.WithAffine([1, 1], State.Beta));
    }

    [TestMethod]
    public void Gradients_must_fit_the_pass()
    {
        float[] x = Sample.Floats(12, 1), y = new float[12];
        ForwardPass pass = BatchNormalization.Forward(Keras, State, Layout, x, y, true);
        Fails("dy", "11 values", () => BatchNormalization.Backward(pass, x, new float[11], new float[12]));
        Fails("dx", "11 values", () => BatchNormalization.Backward(pass, x, new float[12], new float[11]));
        Fails(
            "dGamma", "2 values",
            () => BatchNormalization.Backward(pass, x, new float[12], new float[12], new float[2]));
        Fails(
            "dBeta", "4 values",
            () => BatchNormalization.Backward(pass, x, new float[12], new float[12], default, new float[4]));
        Fails("group", "1", () => pass.Mean(1).ToArray());
    }
}
