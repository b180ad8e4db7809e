using Microsoft.ML.BatchNorm.Tests.Persistence;

namespace Microsoft.ML.BatchNorm.Tests.Networks.Inference;

[TestClass]
public class NetworkModelTests
{
    static readonly Network plain = Network.Input(6).Dense(33).BatchNormalization().ReLU().Dropout(0.5)
        .Dense(17, useBias: false).Dropout(0.1).BatchNormalization().BatchNormalization().Tanh().Dense(3);

    static readonly Network image = Network.Input(3, 9, 8)
        .Conv2D(20, 3, padding: 1, useBias: false).BatchNormalization().ReLU().MaxPool2D(3, stride: 2, padding: 1)
        .Conv2D(5, (2, 3), stride: (1, 2), padding: (0, 1)).BatchNormalization().Gelu().BatchNormalization()
        .Conv2D(18, 1).LeakyReLU().AveragePool2D(2, stride: 1, padding: 1).Sigmoid()
        .Flatten().Dense(4).BatchNormalization();

    static IEnumerable<object[]> Networks =>
    [
        ["dense", plain],
        ["images", image],
        ["every kind of layer", SavedNetworks.Every],
        ["normalization first", Network.Input(40).BatchNormalization().Dense(5).ReLU().BatchNormalization().Dense(2)],
        ["normalization of an image first", Network.Input(3, 5, 4).BatchNormalization().Conv2D(2, 2).Flatten()],
        ["normalization of other axes", Network.Input(3, 5, 4).BatchNormalization(axis: 3).Conv2D(2, 1)
            .BatchNormalization(axis: 2).BatchNormalization(axis: -1).BatchNormalization()],
        ["an image comes out", Network.Input(2, 5, 6).Conv2D(3, 2)],
        ["one channel", Network.Input(1, 5, 6).MaxPool2D().Conv2D(1, 2).BatchNormalization().Flatten().ReLU()],
        ["a matrix", Network.Input(5, 6).BatchNormalization(axis: 2).ReLU().BatchNormalization().Flatten().Dense(2)],
        ["averages", Network.Input(21, 3, 3).GlobalAveragePool2D().Sigmoid()],
        ["nothing but shapes", Network.Input(2, 3, 3).Dropout(0.5).Flatten()],
        ["no layer", Network.Input(7)],
        .. Graphs.Names.Select(name => new object[] { name, Graphs.Named(name) }),
    ];

    [TestMethod]
    [DynamicData(nameof(Networks))]
    public void Outputs_are_those_of_the_formulas_folded_and_unfolded(string name, Network network)
    {
        NetworkState state = SavedNetworks.State(network, 3);
        float[] features = Sample.Floats(5 * network.InputShape.Size, 4);
        foreach (bool fold in new[] { true, false })
        {
            float[] outputs = Predict(new NetworkModel(network, state, fold), features);
            for (int row = 0; row < 5; row++)
            {
                double[] expected = NaiveNetwork.Predict(
                    network, state, features.AsSpan(row * network.InputShape.Size, network.InputShape.Size));
                Span<float> actual = outputs.AsSpan(row * expected.Length, expected.Length);
                Agreement.Within(1e-5, expected, actual, $"{name}, fold {fold}, row {row}");
            }
        }
    }

    [TestMethod]
    public void Outputs_in_a_new_array_are_those_in_a_given_one()
    {
        var model = new NetworkModel(plain, SavedNetworks.State(plain));
        float[] features = Sample.Floats(5 * 6, 4), given = new float[5 * 3];
        model.Predict(features, given);
        Agreement.SameBits<float>(given, model.Predict(features));
        Assert.AreEqual(0, model.Predict([]).Length);
        Assert.ThrowsExactly<ArgumentException>(() => model.Predict(new float[7]));
    }

    [TestMethod]
    [DynamicData(nameof(Networks))]
    public void A_row_has_the_same_bits_alone_and_among_a_thousand(string name, Network network)
    {
        var model = new NetworkModel(network, SavedNetworks.State(network));
        float[] features = Sample.Floats(1000 * network.InputShape.Size, 4), together = Predict(model, features);
        int inputs = network.InputShape.Size, outputs = network.OutputShape.Size;
        for (int row = 0; row < 1000; row += 37)
        {
            float[] alone = Predict(model, features[(row * inputs)..((row + 1) * inputs)]);
            Agreement.SameBits<float>(together.AsSpan(row * outputs, outputs), alone, $"{name}, row {row}");
        }
    }

    [TestMethod]
    [DynamicData(nameof(Networks))]
    public void Once_it_is_warm_a_thread_allocates_nothing(string name, Network network)
    {
        var model = new NetworkModel(network, SavedNetworks.State(network));
        float[] features = Sample.Floats(300 * network.InputShape.Size, 4);
        float[] outputs = new float[300 * network.OutputShape.Size];
        long allocated = -1;
        var thread = new Thread(() => allocated = Allocation.OfWarm(() =>
        {
            for (int i = 0; i < 100; i++)
                model.Predict(features.AsSpan(0, network.InputShape.Size), outputs.AsSpan(0, network.OutputShape.Size));
            model.Predict(features, outputs);
        }));
        thread.Start();
        thread.Join();
        Assert.AreEqual(0, allocated, name);
    }

    [TestMethod]
    public void Eight_threads_at_once_get_the_bits_of_one()
    {
        var model = new NetworkModel(image, SavedNetworks.State(image));
        float[] features = Sample.Floats(50 * image.InputShape.Size, 4), expected = Predict(model, features);
        float[][] results = new float[32][];
        var eight = new ParallelOptions { MaxDegreeOfParallelism = 8 };
        Parallel.For(0, results.Length, eight, i => results[i] = Predict(model, features));
        foreach (float[] result in results)
            Agreement.SameBits<float>(expected, result);
    }

    [TestMethod]
    public void A_normalization_of_features_keeps_six_digits_under_a_large_mean()
    {
        Network network = Network.Input(20).BatchNormalization(new() { Epsilon = 0 });
        double[] mean = new double[20], variance = new double[20];
        Array.Fill(mean, 1e4);
        Array.Fill(variance, 0.01);
        float[] ones = new float[20];
        Array.Fill(ones, 1f);
        NetworkState state = network.Initialize().With(
            "batch_normalization", new LayerState(new BatchNormalizationState(mean, variance, ones, new float[20])));
        float[] features = Sample.Floats(20, 3, 1e4, 0.1);
        Agreement.Within(
            1e-6, NaiveNetwork.Predict(network, state, features), Predict(new NetworkModel(network, state), features));
    }

    [TestMethod]
    public void A_normalization_that_no_float_can_hold_is_not_folded()
    {
        Network network = Network.Input(2).Dense(1).BatchNormalization(new() { Epsilon = 0 });
        NetworkState state = network.Initialize()
            .With("dense", new LayerState([1e-20f, 2e-20f], [0f]))
            .With("batch_normalization", new LayerState(new BatchNormalizationState([0], [1e-84], [1e-10f], [0f])));
        float[] features = [1, 2];
        double[] expected = NaiveNetwork.Predict(network, state, features);
        float output = Predict(new NetworkModel(network, state), features)[0];
        Assert.AreEqual(expected[0] / 1e12, output / 1e12, 1e-6);
    }

    [TestMethod]
    public void A_feature_that_is_not_finite_is_an_error_where_a_normalization_takes_it_for_one()
    {
        var model = new NetworkModel(plain, plain.Initialize());
        float[] features = new float[5 * 6];
        features[3 * 6 + 2] = float.NaN;
        var error = Assert.ThrowsExactly<InvalidDataException>(() => Predict(model, features));
        StringAssert.Contains(error.Message, "Feature 2 of row 3");
        StringAssert.Contains(error.Message, "Replace it, or set NonFinite.Ignore in the layer's options.");
        features[3 * 6 + 2] = 0;
        features[^1] = float.NegativeInfinity;
        Assert.ThrowsExactly<InvalidDataException>(() => Predict(model, features));
    }

    [TestMethod]
    public void A_feature_that_is_not_finite_goes_through_networks_that_do_not_mind()
    {
        Network ignoring = Network.Input(2).BatchNormalization(new() { NonFinite = NonFinite.Ignore }).ReLU();
        float[] outputs = Predict(
            new NetworkModel(ignoring, ignoring.Initialize()), [float.NaN, 1, 1, float.PositiveInfinity]);
        Assert.IsTrue(float.IsNaN(outputs[0]) && float.IsFinite(outputs[1]) && float.IsPositiveInfinity(outputs[3]));
        Network bare = Network.Input(2).Dense(2).ReLU();
        Assert.IsTrue(float.IsNaN(Predict(new NetworkModel(bare, bare.Initialize(1)), [float.NaN, 1])[0]));
    }

    [TestMethod]
    public void What_overflows_in_a_product_passes_through_a_normalization_that_ignores_it()
    {
        Network network = Network.Input(1).Dense(1).BatchNormalization(new() { NonFinite = NonFinite.Ignore });
        NetworkState state = network.Initialize()
            .With("dense", new LayerState([2f], [0f]))
            .With("batch_normalization", new LayerState(new BatchNormalizationState([0], [1], [-1f], [0f])));
        float[] outputs = Predict(new NetworkModel(network, state), [float.MaxValue, -1, float.NegativeInfinity]);
        Assert.IsTrue(float.IsPositiveInfinity(outputs[0]) && outputs[1] > 0 && float.IsNegativeInfinity(outputs[2]));
    }

    [TestMethod]
    public void Lengths_that_do_not_fit_and_memory_that_overlaps_are_ArgumentExceptions()
    {
        var model = new NetworkModel(plain, plain.Initialize());
        Fails("A row has 6 features; 7 are not a whole number of rows.", 7, 3);
        Fails("A row has 3 outputs; there is room for 3, and 2 rows need 6.", 12, 3);
        Fails("A row has 3 outputs; there is room for 6, and 1 row needs 3.", 6, 6);
        float[] memory = new float[20];
        Assert.ThrowsExactly<ArgumentException>(() => model.Predict(memory.AsSpan(0, 6), memory.AsSpan(5, 3)));
        model.Predict([], []);

        void Fails(string message, int features, int outputs) => Assert.AreEqual(
            message,
            Assert.ThrowsExactly<ArgumentException>(
                () => model.Predict(new float[features], new float[outputs])).Message);
    }

    [TestMethod]
    public void A_normalization_without_moving_statistics_cannot_be_served_and_is_named()
    {
        Network network = Network.Input(2).BatchNormalization(new() { TrackMovingStatistics = false }, name: "mine");
        var error = Assert.ThrowsExactly<ArgumentException>(() => new NetworkModel(network, network.Initialize()));
        StringAssert.Contains(error.Message, "'mine'");
    }

    [TestMethod]
    public void A_state_of_another_network_is_an_ArgumentException() =>
        Assert.ThrowsExactly<ArgumentException>(() => new NetworkModel(plain, image.Initialize()));

    [TestMethod]
    public void The_model_does_not_see_a_later_change_of_the_arrays_it_was_made_from()
    {
        float[] kernel = [1, 2];
        Network network = Network.Input(2).Dense(1, useBias: false);
        var model = new NetworkModel(network, network.Initialize().With("dense", new LayerState(kernel)));
        kernel[0] = 100;
        Assert.AreEqual(3f, Predict(model, [1, 1])[0]);
    }

    static float[] Predict(NetworkModel model, float[] features)
    {
        int rows = features.Length / model.Network.InputShape.Size;
        float[] outputs = new float[rows * model.Network.OutputShape.Size];
        model.Predict(features, outputs);
        return outputs;
    }
}
