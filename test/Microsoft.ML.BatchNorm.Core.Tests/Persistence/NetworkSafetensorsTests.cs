using System.Text;
using System.Text.Json;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

[TestClass]
public class NetworkSafetensorsTests
{
    static readonly Network convolutional = Network.Input(2, 4, 3)
        .Conv2D(3, (2, 1), name: "conv").BatchNormalization(name: "bn1").ReLU()
        .Append(Network.Input(3, 3, 3).Conv2D(4, 2, useBias: false, name: "conv"), "block")
        .Flatten().BatchNormalization(name: "bn2").ReLU().Dropout(0.5).Dense(5, name: "fc1").ReLU()
        .Dense(2, useBias: false, name: "fc2");

    [TestMethod]
    [DataRow(TensorNaming.PyTorch)]
    [DataRow(TensorNaming.Keras)]
    public void A_saved_network_comes_back_with_every_bit_that_has_a_name(object naming)
    {
        NetworkState state = SavedNetworks.State(convolutional);
        byte[] bytes = SavedNetworks.SaveSafetensors(convolutional, state, (TensorNaming)naming);
        NetworkState loaded = SavedNetworks.LoadSafetensors(convolutional, bytes, (TensorNaming)naming);
        foreach (string path in (string[])["bn1", "bn2"])
        {
            // Keras does not count batches.
            BatchNormalizationState saved = state[path].BatchNormalization!;
            long batches = (TensorNaming)naming == TensorNaming.Keras ? 0 : saved.BatchesSeen;
            state = state.With(path, new LayerState(new BatchNormalizationState(
                saved.MovingMean, saved.MovingVariance, saved.Gamma, saved.Beta, batches)));
        }
        Assert.AreEqual(state, loaded);
    }

    [TestMethod]
    public void Tensors_have_PyTorch_s_names_and_shapes()
    {
        string[] expected =
        [
            "block.conv.weight F32 [4,3,2,2]", "bn1.bias F32 [3]", "bn1.num_batches_tracked I64 []",
            "bn1.running_mean F64 [3]", "bn1.running_var F64 [3]", "bn1.weight F32 [3]", "bn2.bias F32 [16]",
            "bn2.num_batches_tracked I64 []", "bn2.running_mean F64 [16]", "bn2.running_var F64 [16]",
            "bn2.weight F32 [16]", "conv.bias F32 [3]", "conv.weight F32 [3,2,2,1]", "fc1.bias F32 [5]",
            "fc1.weight F32 [5,16]", "fc2.weight F32 [2,5]",
        ];
        CollectionAssert.AreEqual(expected, Tensors(TensorNaming.PyTorch));
    }

    [TestMethod]
    public void Tensors_have_Keras_s_names_and_shapes()
    {
        string[] expected =
        [
            "block/conv/kernel F32 [2,2,3,4]", "bn1/beta F32 [3]", "bn1/gamma F32 [3]", "bn1/moving_mean F64 [3]",
            "bn1/moving_variance F64 [3]", "bn2/beta F32 [16]", "bn2/gamma F32 [16]", "bn2/moving_mean F64 [16]",
            "bn2/moving_variance F64 [16]", "conv/bias F32 [3]", "conv/kernel F32 [2,1,2,3]", "fc1/bias F32 [5]",
            "fc1/kernel F32 [16,5]", "fc2/kernel F32 [5,2]",
        ];
        CollectionAssert.AreEqual(expected, Tensors(TensorNaming.Keras));
    }

    [TestMethod]
    public void A_sequential_s_names_are_the_places_of_all_its_layers()
    {
        Network network = Network.Input(3).Dense(4).ReLU().BatchNormalization(name: "bn")
            .Append(Network.Input(4).ReLU().Append(Network.Input(4).Dense(2, name: "fc"), "b"), "a");
        CollectionAssert.AreEqual(
            (string[])["0", "1", "2", "3.0", "3.1.0"],
            network.Nodes.Select(node => network.SequentialName(node.Path)).ToArray());
        NetworkState state = SavedNetworks.State(network);
        byte[] bytes = SavedNetworks.SaveSafetensors(network, state, prefix: network.SequentialName);
        StringAssert.Contains(Encoding.Latin1.GetString(bytes), "\"3.1.0.weight\"");
        Assert.AreEqual(state, SavedNetworks.LoadSafetensors(network, bytes, prefix: network.SequentialName));
        Assert.ThrowsExactly<ArgumentException>(() => network.SequentialName("a"));
        Assert.ThrowsExactly<ArgumentException>(() => network.SequentialName("a/b/fd"));
    }

    [TestMethod]
    public void A_PyTorch_file_s_values_are_where_PyTorch_has_them()
    {
        Network network = Network.Input(1, 2, 2).Conv2D(2, (1, 2)).Flatten().Dense(1).BatchNormalization();
        byte[] bytes = SafetensorsFile.Of(
            ("0.weight", "F32", [2, 1, 1, 2], SafetensorsFile.Bytes(1f, 2f, 3f, 4f)),
            ("0.bias", "F16", [2], SafetensorsFile.Bytes((Half)0.5, (Half)(-0.25))),
            ("2.weight", "F64", [1, 4], SafetensorsFile.Bytes(5.0, 6, 7, 0.1)),
            ("2.bias", "BF16", [1], SafetensorsFile.Bytes<ushort>(0x3FC0)),
            ("3.weight", "F32", [1], SafetensorsFile.Bytes(2f)),
            ("3.bias", "F32", [1], SafetensorsFile.Bytes(3f)),
            ("3.running_mean", "F32", [1], SafetensorsFile.Bytes(4f)),
            ("3.running_var", "F32", [1], SafetensorsFile.Bytes(9f)),
            ("3.num_batches_tracked", "I64", [], SafetensorsFile.Bytes(77L)));
        NetworkState state = SavedNetworks.LoadSafetensors(network, bytes, prefix: network.SequentialName);
        Assert.AreEqual(new LayerState([1, 2, 3, 4], [0.5f, -0.25f]), state["conv2d"]);
        Assert.AreEqual(new LayerState([5, 6, 7, 0.1f], [1.5f]), state["dense"]);
        Assert.AreEqual(
            new LayerState(new BatchNormalizationState([4], [9], [2], [3], 77)), state["batch_normalization"]);
    }

    [TestMethod]
    public void Keras_s_kernels_are_turned_and_what_follows_a_flattened_image_is_put_in_order()
    {
        const int channels = 2, height = 3, width = 4, units = 5;
        Network network = Network.Input(3, height, width).Conv2D(channels, 1, useBias: false, name: "conv")
            .Flatten().BatchNormalization(new() { Renorm = new() }, name: "bn").ReLU()
            .Append(Network.Input(24).Dropout(0.1).Dense(units, useBias: false, name: "fc1"), "head")
            .Dense(2, useBias: false, name: "fc2");

        var dense = new float[height, width, channels, units];
        var mean = new float[height, width, channels];
        for (int h = 0; h < height; h++)
        {
            for (int w = 0; w < width; w++)
            {
                for (int c = 0; c < channels; c++)
                {
                    mean[h, w, c] = Code(c, h, w, 0);
                    for (int u = 0; u < units; u++)
                        dense[h, w, c, u] = Code(c, h, w, u);
                }
            }
        }
        float[] features = [.. mean.Cast<float>()];
        byte[] vector = SafetensorsFile.Bytes(features);
        byte[] bytes = SafetensorsFile.Of(
            ("conv/kernel", "F32", [1, 1, 3, 2], SafetensorsFile.Bytes(1f, 4f, 2f, 5f, 3f, 6f)),
            ("bn/gamma", "F32", [24], vector), ("bn/beta", "F32", [24], vector),
            ("bn/moving_mean", "F32", [24], vector), ("bn/moving_variance", "F32", [24], vector), 
            ("bn/moving_stddev", "F32", [24], vector), ("bn/renorm_mean", "F32", [24], vector), 
            ("bn/renorm_stddev", "F32", [24], vector),
            ("head/fc1/kernel", "F32", [24, units], SafetensorsFile.Bytes<float>([.. dense.Cast<float>()])),
            ("fc2/kernel", "F32", [units, 2], SafetensorsFile.Bytes(1f, 6f, 2f, 7f, 3f, 8f, 4f, 9f, 5f, 10f)));

        NetworkState state = SavedNetworks.LoadSafetensors(network, bytes, TensorNaming.Keras);
        CollectionAssert.AreEqual((float[])[1, 2, 3, 4, 5, 6], state["conv"].Kernel.ToArray());
        CollectionAssert.AreEqual((float[])[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], state["fc2"].Kernel.ToArray());
        for (int c = 0, i = 0; c < channels; c++)
        {
            for (int h = 0; h < height; h++)
            {
                for (int w = 0; w < width; w++, i++)
                {
                    BatchNormalizationState normalization = state["bn"].BatchNormalization!;
                    float expected = Code(c, h, w, 0);
                    Assert.AreEqual(expected, normalization.Gamma[i]);
                    Assert.AreEqual(expected, normalization.Beta[i]);
                    Assert.AreEqual(expected, normalization.MovingMean[i]);
                    Assert.AreEqual(expected, normalization.MovingVariance[i]);
                    Assert.AreEqual(expected, normalization.Renorm!.MovingStandardDeviation[i]);
                    Assert.AreEqual(expected, normalization.Renorm.Mean[i]);
                    Assert.AreEqual(expected, normalization.Renorm.StandardDeviation[i]);
                    for (int u = 0; u < units; u++)
                        Assert.AreEqual(Code(c, h, w, u), state["head/fc1"].Kernel[u * 24 + i]);
                }
            }
        }
        byte[] again = SavedNetworks.SaveSafetensors(network, state, TensorNaming.Keras);
        Assert.AreEqual(state, SavedNetworks.LoadSafetensors(network, again, TensorNaming.Keras));
        Assert.IsTrue(again.AsSpan().IndexOf(SafetensorsFile.Bytes<float>([.. dense.Cast<float>()])) > 0);

        static float Code(int c, int h, int w, int u) => 1000 * c + 100 * h + 10 * w + u;
    }

    [TestMethod]
    public void A_layer_that_the_file_does_not_have_stays_as_it_is_in_the_state_that_is_loaded_onto()
    {
        Network network = Network.Input(3).Dense(4, name: "base").Dense(2, name: "head");
        NetworkState state = SavedNetworks.State(network, 1), other = SavedNetworks.State(network, 50);
        static string? WithoutHead(string path) => path == "head" ? null : path;
        byte[] withoutHead = SavedNetworks.SaveSafetensors(network, state, prefix: WithoutHead);
        NetworkState expected = other.With("base", state["base"]);
        Assert.AreEqual(expected, SavedNetworks.LoadSafetensors(network, withoutHead, onto: other));

        byte[] all = SavedNetworks.SaveSafetensors(network, state);
        States.IsInvalid(
            () => SavedNetworks.LoadSafetensors(network, all, prefix: WithoutHead, onto: other),
            "unexpected: \"head.bias\", \"head.weight\".");
    }

    [TestMethod]
    public void A_layer_without_moving_statistics_has_no_tensors_of_them_and_renormalization_begins_at_them()
    {
        Network untracked = Network.Input(2).BatchNormalization(new() { TrackMovingStatistics = false, Scale = false });
        NetworkState state = untracked.Initialize();
        byte[] bytes = SavedNetworks.SaveSafetensors(untracked, state);
        Assert.IsFalse(Encoding.Latin1.GetString(bytes).Contains("running", StringComparison.Ordinal));
        Assert.AreEqual(state, SavedNetworks.LoadSafetensors(untracked, bytes));

        Network renormalized = Network.Input(2).BatchNormalization(new() { Renorm = new() }, name: "bn");
        Network plain = Network.Input(2).BatchNormalization(name: "bn");
        var known = new BatchNormalizationState([1, 2], [4, 9], [1, 1], [0, 0]);
        byte[] torch = SavedNetworks.SaveSafetensors(plain, plain.Initialize().With("bn", new LayerState(known)));
        RenormStatistics renorm =
            SavedNetworks.LoadSafetensors(renormalized, torch)["bn"].BatchNormalization!.Renorm!;
        CollectionAssert.AreEqual((double[])[1, 2], renorm.Mean.ToArray());
        CollectionAssert.AreEqual((double[])[2, 3], renorm.StandardDeviation.ToArray());
    }

    static string[] Tensors(TensorNaming naming)
    {
        byte[] bytes = SavedNetworks.SaveSafetensors(convolutional, SavedNetworks.State(convolutional), naming);
        using var header = JsonDocument.Parse(bytes.AsMemory(8, BitConverter.ToInt32(bytes)));
        return [.. header.RootElement.EnumerateObject().Where(entry => entry.Name != "__metadata__")
            .Select(entry => $"{entry.Name} {entry.Value.GetProperty("dtype")} {entry.Value.GetProperty("shape")}")
            .Order(StringComparer.Ordinal)];
    }
}
