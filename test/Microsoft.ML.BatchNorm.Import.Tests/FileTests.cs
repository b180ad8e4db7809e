namespace Microsoft.ML.BatchNorm.Import.Tests;

/// <summary>What a file may leave open, and what is asked of it.</summary>
[TestClass]
public class FileTests
{
    static OnnxFile Chain(params long[] input) => new OnnxFile().Input("x", input).Output("y")
        .Tensor("w", Sample.Floats(12, 1), 4, 3, 1, 1).Named("conv", "Conv", "x w", "a").Named("relu", "Relu", "a", "b")
        .Named("mean", "GlobalAveragePool", "b", "c").Named("flat", "Flatten", "c", "y");

    [TestMethod]
    public void A_batch_that_the_file_fixes_becomes_free()
    {
        byte[] file = new OnnxFile().Input("x", 1, 3, 4, 5).Output("y").Tensor("w", Sample.Floats(120, 1), 60, 2)
            .Tensor("s", [1L, -1]).Node("Reshape", "x s", "a").Node("MatMul", "a w", "y").ToBytes();
        var notes = new List<string>();
        SavedNetwork saved = OnnxImport.Load(new MemoryStream(file), note: notes.Add);
        Assert.AreEqual("The file takes batches of 1; the network takes batches of any size.", notes.Single());
        float[] rows = Sample.Floats(3 * 60, 2), all = new NetworkModel(saved.Network, saved.State).Predict(rows);
        for (int row = 0; row < 3; row++)
        {
            float[] alone = Reference.Run(file, 1, rows[(60 * row)..(60 * row + 60)], [3, 4, 5]);
            Assert.IsLessThan(Reference.Tolerance, Reference.Difference(alone, all[(2 * row)..(2 * row + 2)]));
        }
    }

    [TestMethod]
    public void An_input_of_whole_numbers_must_be_cast_before_it_is_computed_with()
    {
        const int uint8 = 2;
        OnnxFile Images() => new OnnxFile().Input("x", uint8, [-1, 4, 5, 3]).Output("y").Tensor("max", [255f])
            .Tensor("w", Sample.Floats(12, 1), 4, 3, 1, 1)
            .Node("Transpose", "x", "t", ("perm", new[] { 0, 3, 1, 2 }));
        SavedNetwork saved = Reference.Load(Images().Node("Cast", "t", "f", ("to", 1)).Node("Div", "f max", "d")
            .Node("Conv", "d w", "y").ToBytes());
        Assert.AreEqual("Div_0", saved.Network.Nodes[0].Path);
        Failures.Are(
            Images().Named("div", "Div", "t max", "d").Node("Cast", "d", "f", ("to", 1)).Node("Conv", "f w", "y"),
            "Div 'div' (it computes with whole numbers)");
        Failures.Are(
            new OnnxFile().Input("x", 7, [-1, 4]).Output("y").Named("relu", "Relu", "x", "y"),
            "Relu 'relu' (it computes with whole numbers)");
    }

    [TestMethod]
    public void A_size_that_the_file_leaves_open_is_given()
    {
        Reference.Check(Chain(-1, 3, -2, -3), new TensorShape(3, 6, 9));
        Reference.Check(Chain(-1, -2, -3, -4), new TensorShape(3, 2, 2));
        ArgumentException open = Assert.ThrowsExactly<ArgumentException>(
            () => Reference.Load(Chain(-1, 3, -2, 5).ToBytes()));
        Assert.StartsWith(
            "The file leaves the shape of the input 'x' open: [?, 3, ?, 5]. Give the shape of a row", open.Message);
        ArgumentException other = Assert.ThrowsExactly<ArgumentException>(
            () => Reference.Load(Chain(-1, 3, -2, 5).ToBytes(), new TensorShape(4, 5, 6)));
        Assert.StartsWith(
            "The rows of the input 'x' cannot be [4, 5, 6]: its shape is [?, 3, ?, 5], batch first. Only height and "
            + "width of images may differ.", other.Message);
        Assert.ThrowsExactly<ArgumentException>(
            () => Reference.Load(Chain(-1, 3, -2, 5).ToBytes(), new TensorShape(3, 5)));
    }

    [TestMethod]
    public void Images_may_have_another_size_than_the_file_s()
    {
        var notes = new List<string>();
        using var stream = new MemoryStream(Chain(1, 3, 4, 5).ToBytes());
        SavedNetwork saved = OnnxImport.Load(stream, new TensorShape(3, 7, 9), note: notes.Add);
        float[] row = Sample.Floats(3 * 7 * 9, 2);
        float[] expected = Reference.Run(Chain(1, 3, 7, 9).ToBytes(), 1, row, [3, 7, 9]);
        float[] actual = new NetworkModel(saved.Network, saved.State).Predict(row);
        Assert.IsLessThan(Reference.Tolerance, Reference.Difference(expected, actual));
        Assert.AreEqual("The file's rows have the shape [3, 4, 5]; the network takes rows of [3, 7, 9].", notes[0]);
    }

    [TestMethod]
    public void Images_of_a_size_that_the_layers_cannot_take_are_an_error_of_the_argument()
    {
        byte[] file = new OnnxFile().Input("x", -1, 1, 2, 2).Output("y").Node("Flatten", "x", "a")
            .Tensor("w", Sample.Floats(12, 1), 4, 3).Node("MatMul", "a w", "y").ToBytes();
        ArgumentException error = Assert.ThrowsExactly<ArgumentException>(
            () => Reference.Load(file, new TensorShape(1, 3, 3)));
        Assert.AreEqual("inputShape", error.ParamName);
        StringAssert.Contains(
            error.Message, "With rows of [1, 3, 3], not of the file's own shape, the file makes no network: in ");
        StringAssert.Contains(error.Message, "The argument until can name a value before that.");
        Assert.DoesNotContain("damaged", error.Message);
    }

    [TestMethod]
    public void A_network_ends_at_a_value_that_is_named()
    {
        byte[] file = Chain(-1, 3, 4, 5).ToBytes();
        SavedNetwork saved = Reference.Load(file, until: "b");
        CollectionAssert.AreEqual(
            new[] { "conv", "relu" }, saved.Network.Nodes.Select(node => node.Path).ToArray());
        Assert.AreEqual(new TensorShape(4, 4, 5), saved.Network.OutputShape);
        ArgumentException error = Assert.ThrowsExactly<ArgumentException>(() => Reference.Load(file, until: "d"));
        Assert.StartsWith("No node computes a value 'd'. The last nodes compute 'y', 'c', 'b', 'a'.", error.Message);
    }

    [TestMethod]
    public void What_comes_after_the_value_need_not_be_known()
    {
        OnnxFile file = new OnnxFile().Input("x", -1, 4).Output("y").Node("Relu", "x", "a")
            .Named("top", "TopK", "a a", "y");
        Failures.Are(file, "TopK 'top'");
        Assert.HasCount(1, Reference.Load(file.ToBytes(), until: "a").Network.Nodes);
    }

    [TestMethod]
    public void Of_several_outputs_or_inputs_one_must_be_named()
    {
        OnnxFile file = new OnnxFile().Input("x", -1, 4).Input("z", -1, 4).Output("y").Output("v")
            .Node("Relu", "x", "y").Node("Add", "y z", "v");
        NotSupportedException outputs = Assert.ThrowsExactly<NotSupportedException>(
            () => Reference.Load(file.ToBytes()));
        Assert.StartsWith("The file has the outputs 'y', 'v', and a network has one.", outputs.Message);
        NotSupportedException inputs = Assert.ThrowsExactly<NotSupportedException>(
            () => Reference.Load(file.ToBytes(), until: "v"));
        Assert.StartsWith("The output depends on the inputs 'x', 'z', and a network has one.", inputs.Message);
        Assert.HasCount(1, Reference.Load(file.ToBytes(), until: "y").Network.Nodes);
    }

    [TestMethod]
    public void Every_unknown_operator_and_the_first_unsupported_form_on_each_path_are_listed()
    {
        OnnxFile file = new OnnxFile().Input("x", -1, 3, 8, 8).Output("y").Tensor("w", Sample.Floats(12, 1), 4, 3, 1)
            .Tensor("s", [1f, 1, 2, 2], 4).Named("up", "Resize", "x - s", "a").Named("conv", "Conv", "x w", "b")
            .Named("elu", "Elu", "a", "c").Node("Add", "b c", "d").Node("Loop", "d", "e").Node("Relu", "e", "y");
        Failures.Are(
            file, "Resize 'up'", "Conv 'conv' (its kernel has 3 dimensions", "Elu 'elu'", "Loop with the output 'e'");
    }

    [TestMethod]
    public void An_output_that_no_layer_gives_is_listed_with_its_node() => Failures.Are(
        new OnnxFile().Input("x", -1, 3, 8, 8).Output("y")
            .Named("pool", "MaxPool", "x", "a indices", ("kernel_shape", new[] { 2, 2 })).Node("Relu", "indices", "y"),
        "MaxPool 'pool' (another output than its first is read)");

    [TestMethod]
    public void Operators_of_other_domains_are_listed_with_the_domain()
    {
        byte[] node = OnnxFile.Message(output =>
        {
            OnnxFile.Text(output, 1, "x");
            OnnxFile.Text(output, 2, "y");
            OnnxFile.Text(output, 3, "a");
            OnnxFile.Text(output, 4, "QuickGelu");
            OnnxFile.Text(output, 7, "com.microsoft");
        });
        NotSupportedException error = Assert.ThrowsExactly<NotSupportedException>(
            () => Reference.Load(new OnnxFile().Input("x", -1, 4).Output("y").Written(node).ToBytes()));
        StringAssert.Contains(error.Message, "com.microsoft.QuickGelu 'a'");
    }

    [TestMethod]
    public void The_newest_operators_are_those_that_ONNX_Runtime_takes()
    {
        float[] x = [-1, 2, -3, 4];
        CollectionAssert.AreEqual(
            new float[] { 0, 2, 0, 4 }, Reference.Run(Relu(GraphImport.NewestOpSet).ToBytes(), 1, x, [4]));
        Reference.Load(Relu(GraphImport.NewestOpSet).ToBytes());
        Assert.Throws<Exception>(() => Reference.Run(Relu(GraphImport.NewestOpSet + 1).ToBytes(), 1, x, [4]));
        foreach (int opSet in (int[])[GraphImport.OldestOpSet - 1, GraphImport.NewestOpSet + 1])
        {
            NotSupportedException error = Assert.ThrowsExactly<NotSupportedException>(
                () => Reference.Load(Relu(opSet).ToBytes()));
            StringAssert.Contains(error.Message, $"version {opSet} of the standard operators");
        }

        static OnnxFile Relu(int opSet) => new OnnxFile(opSet).Input("x", -1, 4).Output("y").Node("Relu", "x", "y");
    }

    [TestMethod]
    public void Files_from_before_operators_had_versions_are_refused_as_old()
    {
        byte[] file = OnnxFile.Message(model =>
        {
            OnnxFile.Whole(model, 1, 2);
            OnnxFile.Part(model, 7, OnnxFile.Message(graph => OnnxFile.Text(graph, 2, "graph")));
        });
        StringAssert.Contains(
            Assert.ThrowsExactly<NotSupportedException>(() => Reference.Load(file)).Message,
            "version 1 of the standard operators");
    }

    [TestMethod]
    public void A_stream_is_read_from_where_it_stands_and_need_not_be_able_to_seek()
    {
        byte[] file = Chain(-1, 3, 4, 5).ToBytes();
        var stream = new MemoryStream([1, 2, 3, .. file]) { Position = 3 };
        SavedNetwork expected = Reference.Load(file);
        Assert.AreEqual(expected, OnnxImport.Load(stream));
        using var zip = new System.IO.Compression.DeflateStream(
            new MemoryStream(Deflated(file)), System.IO.Compression.CompressionMode.Decompress);
        Assert.AreEqual(expected, OnnxImport.Load(zip));

        static byte[] Deflated(byte[] bytes)
        {
            var packed = new MemoryStream();
            using (var stream = new System.IO.Compression.DeflateStream(
                packed, System.IO.Compression.CompressionLevel.Fastest))
                stream.Write(bytes);
            return packed.ToArray();
        }
    }

    [TestMethod]
    public void A_stream_that_is_too_long_is_refused_before_it_is_read() => StringAssert.Contains(
        Assert.ThrowsExactly<InvalidDataException>(() => OnnxImport.Load(new Endless())).Message,
        "The file has more than 2 GB");

    sealed class Endless : MemoryStream
    {
        public override long Length => 1L << 31;

        public override int Read(byte[] buffer, int offset, int count) => throw new InvalidOperationException();
    }
}
