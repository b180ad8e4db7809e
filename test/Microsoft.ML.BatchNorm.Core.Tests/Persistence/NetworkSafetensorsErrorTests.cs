namespace Microsoft.ML.BatchNorm.Tests.Persistence;

[TestClass]
public class NetworkSafetensorsErrorTests
{
    static readonly Network network = Network.Input(3).Dense(2, name: "fc").BatchNormalization(name: "bn");

    static readonly (string Name, string Dtype, int[] Shape, byte[] Data)[] tensors =
    [
        ("fc.weight", "F32", [2, 3], SafetensorsFile.Bytes(1f, 2f, 3f, 4f, 5f, 6f)),
        ("fc.bias", "F32", [2], SafetensorsFile.Bytes(1f, 2f)),
        ("bn.weight", "F32", [2], SafetensorsFile.Bytes(1f, 2f)),
        ("bn.bias", "F32", [2], SafetensorsFile.Bytes(1f, 2f)),
        ("bn.running_mean", "F32", [2], SafetensorsFile.Bytes(1f, 2f)),
        ("bn.running_var", "F32", [2], SafetensorsFile.Bytes(1f, 2f)),
        ("bn.num_batches_tracked", "I64", [], SafetensorsFile.Bytes(3L)),
    ];

    [TestMethod]
    public void Every_missing_unexpected_and_misshapen_tensor_is_named_at_once()
    {
        byte[] bytes = SafetensorsFile.Of(
            ("fc.weight", "F32", [3, 2], SafetensorsFile.Bytes(new float[6])),
            ("bn.weight", "I32", [2], SafetensorsFile.Bytes(1, 2)),
            ("bn.running_mean", "F32", [2], SafetensorsFile.Bytes(1f, 2f)),
            ("bn.bias", "F32", [2, 1], SafetensorsFile.Bytes(1f, 2f)),
            ("bn.num_batches_tracked", "BOOL", [], SafetensorsFile.Bytes<byte>(1)),
            ("head.weight", "F32", [1], SafetensorsFile.Bytes(1f)),
            ("head.bias", "F32", [1], SafetensorsFile.Bytes(1f)));
        Assert.AreEqual(
            "The file does not fit the network: "
            + "missing: \"fc.bias\" of shape [2], \"bn.running_var\" of shape [2]; "
            + "misshapen: \"fc.weight\" has shape [3, 2] instead of [2, 3], "
            + "\"bn.weight\" has dtype \"I32\" instead of F64, F32, F16 or BF16, "
            + "\"bn.bias\" has shape [2, 1] instead of [2], "
            + "\"bn.num_batches_tracked\" has dtype \"BOOL\", which is no number; "
            + "unexpected: \"head.bias\", \"head.weight\".",
            Assert.ThrowsExactly<InvalidDataException>(() => SavedNetworks.LoadSafetensors(network, bytes)).Message);
    }

    [TestMethod]
    public void Names_of_a_Sequential_are_told_with_what_reads_them()
    {
        byte[] file = SavedNetworks.SaveSafetensors(network, network.Initialize(), prefix: network.SequentialName);
        States.IsInvalid(
            () => SavedNetworks.LoadSafetensors(network, file),
            "missing: \"fc.weight\" of shape [2, 3]", "unexpected: \"0.bias\"",
            "The names are those of torch.nn.Sequential: give prefix: network.SequentialName.");
        Network nested = Network.Input(3).Append(network, "base").Dense(4, name: "head");
        byte[] deep = SavedNetworks.SaveSafetensors(nested, nested.Initialize(), prefix: nested.SequentialName);
        States.IsInvalid(() => SavedNetworks.LoadSafetensors(nested, deep), "prefix: network.SequentialName.");

        // Another network's Sequential: its names look so, and what is read so does not fit.
        byte[] other = SafetensorsFile.Of(("0.weight", "F32", [9, 9], SafetensorsFile.Bytes(new float[81])));
        States.IsInvalid(() => SavedNetworks.LoadSafetensors(network, other), "prefix: network.SequentialName");
        var error = Assert.ThrowsExactly<InvalidDataException>(
            () => SavedNetworks.LoadSafetensors(network, other, prefix: network.SequentialName));
        Assert.IsFalse(error.Message.Contains("SequentialName"), error.Message);
    }

    [TestMethod]
    public void Names_behind_a_common_prefix_are_told_with_what_reads_them()
    {
        byte[] file = SavedNetworks.SaveSafetensors(
            network, network.Initialize(), prefix: path => "module.model." + path);
        States.IsInvalid(
            () => SavedNetworks.LoadSafetensors(network, file),
            "The names begin with \"module.model.\": give prefix: path => \"module.model.\" + path.");
        Network nested = Network.Input(3).Append(network, "base");
        byte[] deep = SavedNetworks.SaveSafetensors(
            nested, nested.Initialize(), prefix: path => "module." + path.Replace('/', '.'));
        States.IsInvalid(
            () => SavedNetworks.LoadSafetensors(nested, deep),
            "give prefix: path => \"module.\" + path.Replace('/', '.').");
    }

    [TestMethod]
    public void Names_of_the_other_framework_are_told_with_what_reads_them()
    {
        byte[] keras = SavedNetworks.SaveSafetensors(network, network.Initialize(), TensorNaming.Keras);
        States.IsInvalid(
            () => SavedNetworks.LoadSafetensors(network, keras),
            "The names are Keras's: give naming: TensorNaming.Keras.");
        byte[] torch = SavedNetworks.SaveSafetensors(network, network.Initialize());
        States.IsInvalid(
            () => SavedNetworks.LoadSafetensors(network, torch, TensorNaming.Keras),
            "The names are PyTorch's: give naming: TensorNaming.PyTorch.");
    }

    [TestMethod]
    public void Keras_2_s_names_are_read()
    {
        NetworkState state = SavedNetworks.State(network);
        byte[] file = SavedNetworks.SaveSafetensors(network, state, TensorNaming.Keras);
        string header = System.Text.Encoding.UTF8.GetString(file, 8, BitConverter.ToInt32(file));
        header = "{" + header[header.IndexOf("\"bn/moving_mean\":{\"dtype", StringComparison.Ordinal)..];
        header = System.Text.RegularExpressions.Regex.Replace(header, "(fc|bn)/(\\w+)\"", "$1/$2:0\"");
        byte[] numbered = SafetensorsFile.Of(header, file[(8 + BitConverter.ToInt32(file))..]);
        Assert.IsTrue(header.Contains("bn/gamma:0") && header.Contains("fc/kernel:0"));
        Assert.AreEqual(
            SavedNetworks.LoadSafetensors(network, file, TensorNaming.Keras),
            SavedNetworks.LoadSafetensors(network, numbered, TensorNaming.Keras));
    }

    [TestMethod]
    public void A_layer_in_part_is_missing_tensors_even_where_a_layer_may_be_missing()
    {
        byte[] bytes = SafetensorsFile.Of([.. tensors.Where(tensor => tensor.Name != "bn.bias")]);
        States.IsInvalid(
            () => SavedNetworks.LoadSafetensors(network, bytes, onto: network.Initialize()),
            "missing: \"bn.bias\" of shape [2].");
    }

    [TestMethod]
    public void Only_the_number_of_batches_may_be_missing()
    {
        NetworkState all = SavedNetworks.LoadSafetensors(network, SafetensorsFile.Of(tensors));
        Assert.AreEqual(3, all["bn"].BatchNormalization!.BatchesSeen);
        for (int i = 0; i < tensors.Length; i++)
        {
            byte[] bytes = SafetensorsFile.Of([.. tensors[..i], .. tensors[(i + 1)..]]);
            if (tensors[i].Dtype == "I64")
                Assert.AreEqual(0, SavedNetworks.LoadSafetensors(network, bytes)["bn"].BatchNormalization!.BatchesSeen);
            else
                States.IsInvalid(
                    () => SavedNetworks.LoadSafetensors(network, bytes), $"missing: \"{tensors[i].Name}\"");
        }
    }

    [TestMethod]
    public void A_hundred_unexpected_tensors_are_named_and_the_others_counted()
    {
        var more = Enumerable.Range(100, 150).Select(i => ($"t{i}", "U8", (int[])[0], (byte[])[]));
        States.IsInvalid(
            () => SavedNetworks.LoadSafetensors(network, SafetensorsFile.Of([.. tensors, .. more])),
            "unexpected: \"t100\", ", "\"t199\" and 50 more.");
    }

    [TestMethod]
    public void Values_out_of_range_are_named_by_tensor()
    {
        With(0, SafetensorsFile.Bytes(1f, 2f, 3f, float.NaN, 5f, 6f), "fc.weight[3] is NaN");
        With(1, SafetensorsFile.Bytes(1f, float.NegativeInfinity), "fc.bias[1] is -Infinity");
        With(5, SafetensorsFile.Bytes(1f, -2f), "bn.running_var of channel 1 is -2");
        With(6, SafetensorsFile.Bytes(-3L), "bn.num_batches_tracked is -3");

        static void With(int index, byte[] data, string fragment)
        {
            (string, string, int[], byte[])[] changed = [.. tensors];
            changed[index].Item4 = data;
            States.IsInvalid(() => SavedNetworks.LoadSafetensors(network, SafetensorsFile.Of(changed)), fragment);
        }
    }

    [TestMethod]
    public void Names_that_no_file_can_have_or_that_two_layers_share_are_refused()
    {
        NetworkState state = network.Initialize();
        Refused(path => "x", "Two layers have a tensor \"x.weight\"; one is 'bn'");
        Refused(path => path + "\ud800", "half a surrogate pair");
        byte[] bytes = SafetensorsFile.Of(tensors);
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(
                () => SavedNetworks.LoadSafetensors(network, bytes, prefix: path => null)).Message,
            "The prefix gives no name to the layers fc, bn");
        Network vast = Network.Input(1).Dense(1, useBias: false);
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => SavedNetworks.SaveSafetensors(
                vast, vast.Initialize(), prefix: path => new string('n', 17_000_000))).Message, "over 1000000");

        void Refused(Func<string, string?> prefix, string fragment)
        {
            StringAssert.Contains(
                Assert.ThrowsExactly<ArgumentException>(
                    () => SavedNetworks.SaveSafetensors(network, state, prefix: prefix)).Message, fragment);
        }
    }

    [TestMethod]
    public void A_state_that_cannot_be_written_leaves_the_stream_empty()
    {
        var stream = new MemoryStream();
        NetworkState state = network.Initialize();
        Assert.ThrowsExactly<ArgumentException>(
            () => network.SaveSafetensors(stream, state.With("other", state["fc"])));
        Assert.ThrowsExactly<InvalidOperationException>(() => network.SaveSafetensors(
            stream, state.With("fc", LayerState.OfTensors([new("kernel", new float[] { 1, 2, 3, 4, 5, 6 }), new("bias", new float[] { 1, float.NaN })]))));
        Network renormalized = Network.Input(3).BatchNormalization(new() { Renorm = new() });
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(
                () => renormalized.SaveSafetensors(stream, renormalized.Initialize())).Message,
            "'batch_normalization' has renormalization, for which PyTorch has no names");
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => network.SaveSafetensors(stream, state, (TensorNaming)7));
        Assert.ThrowsExactly<ArgumentNullException>(() => network.SaveSafetensors(stream, null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => network.SaveSafetensors(null!, state));
        Assert.ThrowsExactly<ArgumentNullException>(() => network.LoadSafetensors((Stream)null!));
        NetworkState other = Network.Input(1).Dense(1).Initialize();
        Assert.ThrowsExactly<ArgumentException>(() => network.LoadSafetensors(stream, onto: other));
        Assert.AreEqual(0, stream.Length);
    }

    [TestMethod]
    public void A_damaged_file_is_refused_or_changes_nothing()
    {
        NetworkState Load(byte[] bytes) => SavedNetworks.LoadSafetensors(network, bytes);
        byte[] ours = SavedNetworks.SaveSafetensors(network, SavedNetworks.State(network));
        Damage.EveryTruncationIsInvalid(ours, Load);
        Damage.EveryFlippedBitIsInvalid(ours, Load);
        int refused = Damage.Mutate(ours, 10_000, 3, Load);
        Assert.IsTrue(refused is > 9_000 and < 10_000, $"{refused} were refused");

        byte[] foreign = SafetensorsFile.Of(tensors);
        Damage.EveryTruncationIsInvalid(foreign, Load);
        var random = new Random(4);
        int loaded = 0;
        for (int i = 0; i < 10_000; i++)
        {
            if (Damage.TryLoad(Mutation.Of(foreign, random), Load) is not { } state)
                continue;
            loaded++;
            network.CheckState(state);
            Assert.AreEqual(state, SavedNetworks.Load(SavedNetworks.Save(network, state)).State);
        }
        Assert.IsTrue(loaded > 100, $"{loaded} were loaded");
    }
}
