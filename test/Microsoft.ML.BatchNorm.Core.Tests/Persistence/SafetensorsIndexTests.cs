using System.Text;
using System.Text.Json;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>Weights by a path: of a file, or of an index of several.</summary>
[TestClass]
public sealed class SafetensorsIndexTests : IDisposable
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

    static readonly NetworkState state = SavedNetworks.LoadSafetensors(network, SafetensorsFile.Of(tensors));

    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("index-");

    public void Dispose() => folder.Delete(recursive: true);

    string IndexPath => Path("model.safetensors.index.json");

    [TestMethod]
    public void A_file_loads_by_its_path_as_it_does_by_its_stream()
    {
        Write("model.safetensors", tensors);
        SavedNetwork loaded = network.LoadSafetensors(Path("model.safetensors"));
        Assert.AreEqual(state, loaded.State);
        Assert.AreEqual(1e-5, ((BatchNormalizationLayer)loaded.Network.Nodes[1].Layer).Options.Epsilon);
        Write("more.bin", [.. tensors, ("old", "U8", [0], [])]);
        loaded = network.LoadSafetensors(Path("more.bin"), unexpected: UnexpectedTensors.Ignore);
        CollectionAssert.AreEqual((string[])["old"], loaded.IgnoredTensors.ToArray());
        // Nothing holds the file.
        File.Delete(Path("more.bin"));
        Assert.ThrowsExactly<FileNotFoundException>(() => network.LoadSafetensors(Path("more.bin")));
        Assert.ThrowsExactly<FileNotFoundException>(() => network.LoadSafetensors(IndexPath));
        Assert.ThrowsExactly<ArgumentNullException>(() => network.LoadSafetensors((string)null!));
    }

    [TestMethod]
    public void The_files_of_an_index_load_as_one()
    {
        Shard();
        SavedNetwork loaded = network.LoadSafetensors(IndexPath);
        Assert.AreEqual(state, loaded.State);
        Assert.IsEmpty(loaded.IgnoredTensors);
        Assert.AreEqual(network.LoadSafetensors(new MemoryStream(SafetensorsFile.Of(tensors))), loaded);
        string map = File.ReadAllText(IndexPath)["{".Length..];
        Text("{\n  \"metadata\": {\"total_size\": 64, \"more\": [{}]},\n  " + map + "\n");
        Assert.AreEqual(state, network.LoadSafetensors(IndexPath).State);
        // Nothing holds the files.
        File.Delete(Path("a.safetensors"));
        File.Delete(Path("b.safetensors"));
    }

    [TestMethod]
    public void Prefix_renaming_and_what_is_ignored_apply_to_all_files_of_an_index()
    {
        var other = tensors.Select(tensor => tensor with
        {
            Name = "model." + tensor.Name.Replace("fc.", "linear."),
        }).ToArray();
        Write("a.safetensors", [.. other[3..], ("model.b.old", "U8", [0], [])]);
        Write("b.safetensors", [.. other[..3], ("model.a.old", "U8", [0], [])]);
        Index(
            [.. other[..3].Select(tensor => (tensor.Name, "b.safetensors")), ("model.a.old", "b.safetensors"),
            .. other[3..].Select(tensor => (tensor.Name, "a.safetensors")), ("model.b.old", "a.safetensors")]);
        SavedNetwork loaded = network.LoadSafetensors(
            IndexPath, prefix: path => "model." + path, rename: name => name.Replace("linear.", "fc."),
            unexpected: UnexpectedTensors.Ignore);
        Assert.AreEqual(state, loaded.State);
        CollectionAssert.AreEqual((string[])["model.a.old", "model.b.old"], loaded.IgnoredTensors.ToArray());
        States.IsInvalid(
            () => network.LoadSafetensors(IndexPath),
            "missing: \"fc.weight\" of shape [2, 3], ", "unexpected: \"model.a.old\", \"model.b.old\", ");
        States.IsInvalid(
            () => network.LoadSafetensors(IndexPath, rename: name => name.Replace("b.old", "a.old")),
            "Two tensors get the name \"model.a.old\": \"model.", "\".");
    }

    [TestMethod]
    public void Of_a_file_without_a_wanted_tensor_only_the_header_is_read()
    {
        Shard();
        byte[] bytes = File.ReadAllBytes(Path("b.safetensors"));
        File.WriteAllBytes(Path("b.safetensors"), bytes[..^9]);
        Network first = network.Until("fc");
        SavedNetwork loaded = first.LoadSafetensors(IndexPath, unexpected: UnexpectedTensors.Ignore);
        Assert.AreEqual(state.For(first), loaded.State);
        Assert.HasCount(5, loaded.IgnoredTensors);
        States.IsInvalid(() => network.LoadSafetensors(IndexPath), "\"b.safetensors\": The file is truncated");
        File.WriteAllBytes(Path("b.safetensors"), bytes[..20]);
        States.IsInvalid(
            () => first.LoadSafetensors(IndexPath, unexpected: UnexpectedTensors.Ignore),
            "\"b.safetensors\": The file is truncated");
        File.WriteAllBytes(Path("b.safetensors"), [.. bytes, 0]);
        States.IsInvalid(() => network.LoadSafetensors(IndexPath), "\"b.safetensors\": The file goes on");
    }

    [TestMethod]
    [DataRow("../a.safetensors")]
    [DataRow("..\\\\a.safetensors")]
    [DataRow("./a.safetensors")]
    [DataRow("sub/a.safetensors")]
    [DataRow("/a.safetensors")]
    [DataRow("C:a.safetensors")]
    [DataRow("\\\\\\\\server\\\\share\\\\a.safetensors")]
    [DataRow("..")]
    [DataRow("")]
    [DataRow("a.bin")]
    [DataRow("a.safetensors/")]
    public void A_name_that_leads_out_of_the_folder_or_to_another_kind_of_file_is_refused(string file)
    {
        Shard();
        Directory.CreateDirectory(Path("sub"));
        File.Copy(Path("a.safetensors"), Path("sub/a.safetensors"));
        Text($"{{\"weight_map\":{{\"fc.weight\":\"a.safetensors\",\"x\":\"{file}\"}}}}");
        States.IsInvalid(
            () => network.LoadSafetensors(IndexPath), "The index has tensor \"x\" in ",
            "it may only name .safetensors files in its own folder.");
    }

    [TestMethod]
    [DataRow("no.safetensors")]
    [DataRow(".safetensors")]
    [DataRow("a\\u0000.safetensors")]
    [DataRow("~.safetensors")]
    [DataRow("folder.safetensors")]
    public void A_file_that_is_not_there_is_named(string file)
    {
        Shard();
        Directory.CreateDirectory(Path("folder.safetensors"));
        Text($"{{\"weight_map\":{{\"fc.weight\":\"{file}\"}}}}");
        States.IsInvalid(
            () => network.LoadSafetensors(IndexPath), "The index names the file \"", ", which is not beside it.");
        Text($"{{\"weight_map\":{{\"fc.weight\":\"{new string('n', 70_000)}{file}\"}}}}");
        States.IsInvalid(() => network.LoadSafetensors(IndexPath), "…\", which is not beside it.");
    }

    [TestMethod]
    public void Every_tensor_must_be_where_the_index_has_it()
    {
        Shard();
        (string, string)[] places = Places();
        Index([.. places[..1], ("fc.bias", "b.safetensors"), .. places[2..], ("more", "a.safetensors")]);
        States.IsInvalid(
            () => network.LoadSafetensors(IndexPath),
            "The index does not fit its files: "
            + "\"fc.bias\" is in \"a.safetensors\", where the index does not have it; "
            + "\"fc.bias\" is not in \"b.safetensors\", where the index has it; "
            + "\"more\" is not in \"a.safetensors\", where the index has it.");
        Index(places[1..]);
        States.IsInvalid(
            () => network.LoadSafetensors(IndexPath, unexpected: UnexpectedTensors.Ignore),
            "\"fc.weight\" is in \"a.safetensors\", where the index does not have it.");
        Index(places);
        Write("b.safetensors", [.. tensors[2..], tensors[0]]);
        States.IsInvalid(
            () => network.LoadSafetensors(IndexPath),
            "\"fc.weight\" is in \"b.safetensors\", where the index does not have it.");
        Index([.. places, .. Enumerable.Range(0, 30).Select(i => ($"t{i}", "a.safetensors"))]);
        States.IsInvalid(() => network.LoadSafetensors(IndexPath), "; and 21 more.");
    }

    [TestMethod]
    public void An_index_that_is_none_is_an_error_that_says_so()
    {
        Shard();
        Refused("", "The index is not JSON");
        Refused("{", "The index is not JSON");
        Refused("[]", "has no object \"weight_map\"");
        Refused("{}", "has no object \"weight_map\"");
        Refused("null", "has no object \"weight_map\"");
        Refused("""{"weight_map":["a.safetensors"]}""", "has no object \"weight_map\"");
        Refused("""{"weight_map":{"x":7}}""", "the file of tensor \"x\" is not a string");
        Refused("""{"weight_map":{"x":null}}""", "the file of tensor \"x\" is not a string");
        Refused("""{"weight_map":{"x":"a.safetensors","x":"a.safetensors"}}""", "The index is not JSON");
        Refused("""{"weight_map":{},"weight_map":{}}""", "The index is not JSON");
        Refused("""{"weight_map":{"\ud800":"a.safetensors"}}""", "not valid Unicode");
        Refused("""{"weight_map":{"x":"\ud800.safetensors"}}""", "not valid Unicode");
        Refused("""{"weight_map":{}}""", "missing: \"fc.weight\"");
        Refused(new string('[', 100_000), "The index is not JSON");
        Refused("{\"weight_map\":" + string.Concat(Enumerable.Repeat("{\"a\":", 90)), "The index is not JSON");
        File.WriteAllBytes(IndexPath, [.. "{\"weight_map\":{\"x"u8, 0xFF, .. "\":\"a.safetensors\"}}"u8]);
        Assert.ThrowsExactly<InvalidDataException>(() => network.LoadSafetensors(IndexPath));
        Write("model.json", tensors);
        States.IsInvalid(() => network.LoadSafetensors(Path("model.json")), "The index is not JSON");
        File.Move(IndexPath, Path("index.safetensors"));
        States.IsInvalid(() => network.LoadSafetensors(Path("index.safetensors")), "not a safetensors file", "JSON");

        void Refused(string text, string fragment)
        {
            Text(text);
            States.IsInvalid(() => network.LoadSafetensors(IndexPath), fragment);
        }
    }

    [TestMethod]
    public void A_file_in_an_index_is_one_of_another_program()
    {
        Shard();
        using (FileStream own = File.Create(Path("a.safetensors")))
            network.Until("fc").SaveSafetensors(own, state.For(network.Until("fc")));
        States.IsInvalid(
            () => network.LoadSafetensors(IndexPath),
            "The index names \"a.safetensors\", which this library wrote with a definition of its own: load it by "
            + "itself.");
        File.WriteAllText(Path("a.safetensors"), "<html>");
        States.IsInvalid(() => network.LoadSafetensors(IndexPath), "\"a.safetensors\": ");
    }

    [TestMethod]
    public void An_index_of_very_many_files_or_bytes_is_refused_before_they_are_read()
    {
        Index([.. Enumerable.Range(0, 1001).Select(i => ($"t{i}", $"{i}.safetensors"))]);
        States.IsInvalid(() => network.LoadSafetensors(IndexPath), "names 1001 files; at most 1000 are allowed");
        using (FileStream long_ = File.Create(IndexPath))
            long_.SetLength(100_000_001);
        States.IsInvalid(() => network.LoadSafetensors(IndexPath), "more than the 100000000 bytes");
    }

    [TestMethod]
    public void An_index_cut_at_any_byte_or_with_any_bit_flipped_is_an_InvalidDataException()
    {
        Shard();
        byte[] bytes = File.ReadAllBytes(IndexPath);
        Damage.EveryTruncationIsInvalid(bytes, Load);
        Damage.EveryFlippedBitIsInvalid(bytes, Load);
    }

    [TestMethod]
    public void Mutations_of_an_index_are_refused_or_change_nothing()
    {
        Shard();
        byte[] bytes = File.ReadAllBytes(IndexPath);
        int refused = Damage.Mutate(bytes, 2_000, 12, Load, OfEach);
        Assert.IsTrue(refused is > 1_800 and < 2_000, $"{refused} were refused");
        string text = Encoding.UTF8.GetString(bytes);
        var random = new Random(13);
        for (int i = 0; i < 2_000; i++)
        {
            string changed = i % 2 == 0 ? Damage.MutateJson(text, random) : Damage.MutateValue(text, random);
            if (Damage.TryLoad(Encoding.UTF8.GetBytes(changed), Load, OfEach) is { } loaded)
                Assert.AreEqual(state, loaded, changed);
        }
    }

    [TestMethod]
    public void Mutations_of_a_file_of_an_index_are_refused_or_give_a_state_of_valid_values()
    {
        Shard();
        byte[] bytes = File.ReadAllBytes(Path("b.safetensors"));
        var random = new Random(14);
        int loaded = 0;
        for (int i = 0; i < 2_000; i++)
        {
            File.WriteAllBytes(Path("b.safetensors"), Mutation.Of(bytes, random));
            if (Damage.TryLoad(bytes, _ => network.LoadSafetensors(IndexPath).State, OfEach) is not { } changed)
                continue;
            loaded++;
            network.CheckState(changed);
        }
        Assert.IsTrue(loaded > 20, $"{loaded} were loaded");
    }

    [TestMethod]
    public void A_hundred_thousand_entries_allocate_in_proportion()
    {
        Write("a.safetensors", [.. tensors]);
        Index([.. Places("a.safetensors"), .. Enumerable.Range(0, 100_000).Select(i => ($"t{i}", "a.safetensors"))]);
        Assert.IsNull(Damage.TryLoad(File.ReadAllBytes(IndexPath), Load, ofEach: 32));
        Index([.. Enumerable.Range(0, 100_000).Select(i => ($"t{i}", $"{i}.safetensors"))]);
        Assert.IsNull(Damage.TryLoad(File.ReadAllBytes(IndexPath), Load, ofEach: 32));
    }

    // Opening files takes memory however short their index is.
    const int OfEach = 256;

    NetworkState Load(byte[] index)
    {
        File.WriteAllBytes(IndexPath, index);
        return network.LoadSafetensors(IndexPath).State;
    }

    /// <summary>The dense layer in one file, the normalization in another.</summary>
    void Shard()
    {
        Write("a.safetensors", tensors[..2]);
        Write("b.safetensors", tensors[2..]);
        Index(Places());
    }

    static (string Tensor, string File)[] Places(string? file = null) =>
        [.. tensors.Select((tensor, i) => (tensor.Name, file ?? (i < 2 ? "a.safetensors" : "b.safetensors")))];

    void Index((string Tensor, string File)[] places) => Text(JsonSerializer.Serialize(new
    {
        weight_map = places.ToDictionary(place => place.Tensor, place => place.File),
    }));

    void Text(string index) => File.WriteAllText(IndexPath, index);

    void Write(string name, (string, string, int[], byte[])[] content) =>
        File.WriteAllBytes(Path(name), SafetensorsFile.Of(content));

    string Path(string name) => System.IO.Path.Combine(folder.FullName, name);
}
