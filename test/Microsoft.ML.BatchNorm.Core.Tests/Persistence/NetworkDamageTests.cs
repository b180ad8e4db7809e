using System.Text.Json.Nodes;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

[TestClass]
public class NetworkDamageTests
{
    // A layer of four bytes becomes some objects, with its path in each network around it.
    const int OfEach = 256;

    static readonly byte[] every = SavedNetworks.Save(SavedNetworks.Every, SavedNetworks.State(SavedNetworks.Every));

    static readonly Network small = Network.Input(2).Dense(2, name: "a").BatchNormalization(name: "b");

    [TestMethod]
    public void A_stream_cut_at_any_byte_is_an_InvalidDataException() =>
        Damage.EveryTruncationIsInvalid(every, SavedNetworks.Load);

    [TestMethod]
    public void Any_flipped_bit_is_an_InvalidDataException() =>
        Damage.EveryFlippedBitIsInvalid(SavedNetworks.Save(small, small.Initialize()), SavedNetworks.Load);

    [TestMethod]
    public void Ten_thousand_random_mutations_are_refused_or_change_nothing()
    {
        int refused = Damage.Mutate(every, 10_000, 7, SavedNetworks.Load, OfEach);
        Assert.IsTrue(refused is > 9_000 and < 10_000, $"{refused} were refused");
    }

    [TestMethod]
    public void A_hundred_thousand_random_mutations_of_a_small_network_are_refused_or_change_nothing()
    {
        int refused = Damage.Mutate(
            SavedNetworks.Save(small, small.Initialize()), 100_000, 6, SavedNetworks.Load, OfEach);
        Assert.IsTrue(refused is > 90_000 and < 100_000, $"{refused} were refused");
    }

    [TestMethod]
    public void Mutations_under_right_checksums_are_refused_or_give_a_network_that_could_have_been_saved()
    {
        string definition = SafetensorsFile.Definition(every);
        int loaded = 0;
        var random = new Random(8);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] bytes = random.Next(6) switch
            {
                0 => SafetensorsFile.WithChecksum(Mutation.Of(every, random)),
                1 => SafetensorsFile.WithDefinition(every, Damage.MutateJson(definition, random)),
                2 => SafetensorsFile.WithDefinition(every, Damage.MutateValue(definition, random)),
                3 => SafetensorsFile.WithChecksum(SafetensorsFile.Of(
                    Damage.MutateValue(SafetensorsFile.Header(every), random), SafetensorsFile.Data(every))),
                _ => SafetensorsFile.WithChecksum(SafetensorsFile.Of(
                    SafetensorsFile.Header(every), Mutation.Of(SafetensorsFile.Data(every), random))),
            };
            if (Damage.TryLoad(bytes, SavedNetworks.Load, OfEach) is not { } saved)
                continue;
            loaded++;
            Assert.AreEqual(saved, SavedNetworks.Load(SavedNetworks.Save(saved.Network, saved.State)));
        }
        Assert.IsTrue(loaded > 1000, $"{loaded} were loaded");
    }

    [TestMethod]
    public void Claims_of_gigabytes_in_a_small_file_allocate_next_to_nothing()
    {
        byte[] claim = [.. BitConverter.GetBytes((long)SafetensorsHeader.MaxLength), (byte)'{', .. new byte[80]];
        Assert.IsNull(Damage.TryLoad(claim, SavedNetworks.Load));
        Network vast = Network.Input(40_000).Dense(50_000, name: "vast", useBias: false);
        string header = $"{{\"__metadata__\":{{\"{SafetensorsHeader.KindKey}\":\"network\","
            + $"\"{SafetensorsHeader.DefinitionKey}\":"
            + JsonValue.Create(Definition.ToText(vast))!.ToJsonString() + "},"
            + SafetensorsFile.Entry("vast/kernel", "F32", "50000,40000", 0, 8_000_000_000) + "}";
        byte[] kernel = SafetensorsFile.Of(header, new byte[20]);
        Assert.IsNull(Damage.TryLoad(kernel, SavedNetworks.Load, OfEach));
        States.IsInvalid(
            () => SavedNetworks.Load(kernel), "20 of 8000000000 bytes of tensor \"vast/kernel\" are there");
    }

    [TestMethod]
    public void More_layers_than_a_network_has_and_arrays_within_arrays_without_end_are_refused()
    {
        States.IsInvalid(
            () => Nodes([.. Enumerable.Range(0, 20_001).Select(i => Node($"f{i}", i - 1, Flatten))]),
            "at most 20000 layers");
        States.IsInvalid(() => Wrong(new string('[', 10_000)), "not JSON");
    }

    [TestMethod]
    public void What_is_wrong_in_the_header_is_named()
    {
        States.IsInvalid(() => SavedNetworks.Load([]), "The file is empty");
        States.IsInvalid(() => SavedNetworks.Load(every[..^1]), "The file is truncated: 11 of 12 bytes of tensor");
        With("\"batchnorm.version\":\"1\"", "\"batchnorm.version\":\"2\"", "version \"2\" of this library's format");
        With("\"batchnorm.kind\":\"network\"", "\"batchnorm.kind\":\"net\"", "This is not a network", "\"net\"");
        With(
            "\"dense/kernel\"", "\"dense/kern\"", "missing: \"dense/kernel\" of shape [5, 8]",
            "unexpected: \"dense/kern\"");
        With("\"F64\",\"shape\":[3]", "\"I64\",\"shape\":[3]", "has dtype \"I64\" instead of F64");
        States.IsInvalid(() => SavedNetworks.Load([.. every[..^1], (byte)~every[^1]]), "The checksum does not match");

        static void With(string old, string with, params string[] fragments)
        {
            string header = SafetensorsFile.Header(every);
            StringAssert.Contains(header, old);
            byte[] bytes = SafetensorsFile.WithChecksum(SafetensorsFile.Of(
                header.Replace(old, with, StringComparison.Ordinal), SafetensorsFile.Data(every)));
            States.IsInvalid(() => SavedNetworks.Load(bytes), fragments);
        }
    }

    [TestMethod]
    public void What_is_wrong_in_the_definition_is_named()
    {
        const string dense = "\"useBias\":true,\"kernelInitializer\":0,\"biasInitializer\":0";
        Kind("conv3D", "", "not JSON that can be read");
        Kind("flatten", "\"units\":1", "units");
        Kind("dense", "\"units\":0," + dense, "Units must be positive");
        Kind("dense", "\"units\":1," + dense.Replace("er\":0", "er\":\"he\""), "he_uniform");
        Kind("dense", "\"units\":1," + dense.Replace("er\":0", "er\":1e999"), "must be finite");
        Kind("dense", "\"units\":1,\"useBias\":true,\"biasInitializer\":0", "kernelInitializer");
        Kind("activation", "\"function\":77", "Function must be one of");
        Kind("activation", "\"function\":\"Relu2\"", "not JSON that can be read");
        Kind("globalAveragePool2D", "", "it needs [channels, height, width]");
        Kind("dropout", "\"rate\":1", "below 1");
        Kind("batchNormalization", "\"options\":{}", "center");
        Kind("flatten", "\"name\":\"a\"", "name");
        States.IsInvalid(() => Nodes(["null"]), "A node is null");
        States.IsInvalid(() => Nodes(["{\"path\":\"a\",\"inputs\":[-1],\"layer\":null}"]), "layer");
        States.IsInvalid(() => Nodes(["{\"path\":\"a\",\"inputs\":null,\"layer\":" + Flatten + "}"]), "inputs");
        States.IsInvalid(() => Nodes(["{\"path\":null,\"inputs\":[-1],\"layer\":" + Flatten + "}"]), "path");
        States.IsInvalid(() => Nodes(["{\"path\":\"a\",\"inputs\":[-1.5],\"layer\":" + Flatten + "}"]), "not JSON");
        States.IsInvalid(() => Nodes(["{\"path\":\"a\",\"inputs\":[],\"layer\":" + Flatten + "}"]), "must read");
        States.IsInvalid(() => Nodes([Node("", -1, Flatten)]), "The path '' has a part without a name");
        States.IsInvalid(() => Nodes([Node("a/", -1, Flatten)]), "The path 'a/' has a part without a name");
        States.IsInvalid(() => Nodes([Node("a*", -1, Flatten)]), "must not hold");
        States.IsInvalid(() => Nodes([Node("\\ud800", -1, Flatten)]), "not JSON that can be read");
        States.IsInvalid(
            () => Nodes([Node("a", -1, Flatten), Node("a", 0, Flatten)]), "The network has a layer 'a' already");
        States.IsInvalid(
            () => Nodes([Node("a", -1, Flatten), Node("b", 1, Flatten)]),
            "Layer 'b' must read the network's input, -1, or earlier layers, 0 to 0, not 1.");
        States.IsInvalid(
            () => Nodes([Node("a", -1, Flatten), Node("b", -1, Flatten)]), "No layer reads 'a'");
        States.IsInvalid(
            () => Nodes([Node("a", -1, Flatten).Replace("[-1]", "[-1,-1]")]),
            "Layer 'a' (Flatten) has inputs of shapes [2] and [2]; it needs one.");
        States.IsInvalid(() => Wrong("{\"input\":[],\"nodes\":[]}"), "must have a dimension");
        States.IsInvalid(() => Wrong("{\"input\":[1.5],\"nodes\":[]}"), "whole numbers");
        States.IsInvalid(() => Wrong("{\"input\":2,\"nodes\":[]}"), "A shape is an array");
        States.IsInvalid(() => Wrong("{\"input\":[2],\"nodes\":[]}{}"), "not JSON");
        States.IsInvalid(() => Wrong("{\"input\":[2],\"preset\":7,\"nodes\":[]}"), "The preset must be one of");

        static void Kind(string kind, string rest, string fragment) => States.IsInvalid(
            () => Nodes(
                [Node("a", -1, $"{{\"kind\":\"{kind}\",\"trainable\":true{(rest.Length == 0 ? "" : ",")}{rest}}}")]),
            fragment);
    }

    [TestMethod]
    public void Values_out_of_range_are_named_by_layer()
    {
        byte[] saved = SavedNetworks.Save(small, small.Initialize());
        With("a/kernel", 1, float.NaN, "The value a/kernel[1] is NaN");
        With("a/bias", 1, float.PositiveInfinity, "The value a/bias[1] is Infinity");
        With("b/batches_seen", 0, -1L, "The number b/batches_seen is -1");
        With("b/moving_mean", 0, double.NaN, "The b/moving_mean of channel 0 is NaN");

        void With<T>(string tensor, int index, T value, string fragment) where T : unmanaged => States.IsInvalid(
            () => SavedNetworks.Load(SafetensorsFile.With(saved, tensor, index, value)), fragment);
    }

    const string Flatten = "{\"kind\":\"flatten\",\"trainable\":true}";

    static string Node(string path, int input, string layer) =>
        $"{{\"path\":\"{path}\",\"inputs\":[{input}],\"layer\":{layer}}}";

    /// <summary>Loads a network of input [2] whose nodes are written by hand.</summary>
    static SavedNetwork Nodes(string[] nodes) => Wrong($"{{\"input\":[2],\"nodes\":[{string.Join(',', nodes)}]}}");

    static SavedNetwork Wrong(string definition) => SavedNetworks.Load(SafetensorsFile.OfKind("network", definition));
}
