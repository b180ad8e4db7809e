using System.Text.RegularExpressions;

namespace Microsoft.ML.BatchNorm.Import.Tests;

/// <summary>Files that are damaged, or meant to do harm.</summary>
[TestClass]
public class DamageTests
{
    /// <summary>The bytes that loading may allocate for each of the file's, and for any file.</summary>
    const int OfEach = 400, Free = 256 * 1024;

    /// <summary>Every kind of operator with parameters, in a few hundred bytes.</summary>
    static readonly byte[] small = new OnnxFile().Input("x", -1, 1, 4, 4).Output("y")
        .Tensor("c.w", [1, 2, 3, 4, 5, 6, 7, 8], 2, 1, 2, 2).Tensor("bn.s", [1, 2], 2).Tensor("bn.b", [0, 1], 2)
        .Tensor("bn.m", [3, 4], 2).Tensor("bn.v", [1, 2], 2).Tensor("fc.w", [1, 2, 3, 4], 2, 2)
        .Tensor("fc.b", [1, 2], 2).Tensor("shape", [-1L, 2])
        .Node("Conv", "x c.w", "1", ("strides", new[] { 2, 2 }), ("pads", new[] { 1, 0, 0, 1 }))
        .Node("BatchNormalization", "1 bn.s bn.b bn.m bn.v", "2", ("epsilon", 0.01f))
        .Node("Constant", "", "6", ("value", OnnxFile.TensorOf("", [6f])))
        .Node("Constant", "", "0", ("value", OnnxFile.TensorOf("", [0f]))).Node("Clip", "2 0 6", "3")
        .Node("GlobalAveragePool", "3", "4").Node("Reshape", "4 shape", "5").Node("Gemm", "5 fc.w fc.b", "y").ToBytes();

    [TestMethod]
    public void A_file_that_is_whole_is_read() => Assert.HasCount(5, Reference.Load(small).Network.Nodes);

    [TestMethod]
    public void A_file_cut_at_any_byte_is_invalid()
    {
        foreach (byte[] file in (byte[][])[small, File.ReadAllBytes(PathOf("dense.onnx"))])
        {
            for (int length = 0; length < file.Length; length++)
            {
                byte[] cut = file[..length];
                InvalidDataException error = Assert.ThrowsExactly<InvalidDataException>(() => Reference.Load(cut));
                StringAssert.Matches(error.Message, new(@"truncated|The file is empty\."), $"{length}");
            }
        }
    }

    [TestMethod]
    public void Any_flipped_bit_is_a_clear_error_or_gives_a_network()
    {
        for (int bit = 0; bit < small.Length * 8; bit++)
        {
            byte[] flipped = [.. small];
            flipped[bit / 8] ^= (byte)(1 << bit % 8);
            TryLoad(flipped);
        }
    }

    [TestMethod]
    public void A_hundred_thousand_mutations_are_clear_errors_or_give_networks()
    {
        var random = new Random(5);
        int loaded = 0;
        for (int i = 0; i < 100_000; i++)
            loaded += TryLoad(Mutation.Of(small, random)) ? 1 : 0;
        Assert.IsTrue(loaded is > 2_000 and < 50_000, $"{loaded} were loaded");
    }

    [TestMethod]
    public void Twenty_thousand_mutations_of_random_graphs_are_clear_errors_or_give_networks()
    {
        var random = new Random(7);
        for (int seed = 0; seed < 200; seed++)
        {
            byte[] file = new RandomGraph(seed).ToBytes();
            for (int i = 0; i < 100; i++)
                TryLoad(Mutation.Of(file, random));
        }
    }

    [TestMethod]
    public void Two_thousand_mutations_of_PyTorch_s_files_are_clear_errors_or_give_networks()
    {
        var random = new Random(6);
        foreach (string name in (string[])["resnet.onnx", "mobile.onnx"])
        {
            byte[] file = File.ReadAllBytes(PathOf(name));
            for (int i = 0; i < 1000; i++)
                TryLoad(Mutation.Of(file, random));
        }
    }

    [TestMethod]
    public void Tensors_in_another_file_are_named()
    {
        byte[] external = OnnxFile.Message(tensor =>
        {
            OnnxFile.Whole(tensor, 1, 4);
            OnnxFile.Whole(tensor, 2, 1);
            OnnxFile.Text(tensor, 8, "w");
            OnnxFile.Part(tensor, 13, OnnxFile.Message(entry =>
            {
                OnnxFile.Text(entry, 1, "location");
                OnnxFile.Text(entry, 2, "../../etc/passwd");
            }));
            OnnxFile.Whole(tensor, 14, 1);
        });
        IsInvalid(
            Rows().Initializer(external).Node("Add", "x w", "y"),
            "The values of 'w' are in another file, which is not read");
    }

    [TestMethod]
    public void What_contradicts_itself_is_named()
    {
        IsInvalid(
            Rows().Tensor("w", new float[5], 4, 3).Node("MatMul", "x w", "y"),
            "the tensor 'w' has values for 5 elements");
        IsInvalid(
            Rows().Tensor("w", [], int.MaxValue, int.MaxValue).Node("MatMul", "x w", "y"),
            "the tensor 'w' has the dimensions [2147483647, 2147483647]");
        IsInvalid(Rows().Tensor("w", [], -1).Node("Add", "x w", "y"), "the tensor 'w' has the dimensions [-1]");
        IsInvalid(
            Rows().Tensor("w", new float[6], 3, 2).Named("n", "MatMul", "x w", "y"),
            "in MatMul 'n', the kernel is for 3 features, and a row has 4");
        IsInvalid(Rows().Named("n", "Add", "x z", "y"), "in Add 'n', 'z' is read, which no node before it computes");
        IsInvalid(
            Rows().Named("n", "Relu", "a", "y").Node("Tanh", "x", "a"),
            "in Relu 'n', 'a' is read, which no node before it computes");
        IsInvalid(
            Rows().Node("Relu", "x", "y").Node("Tanh", "x", "y"), "'y' is computed, which another node computes too");
        IsInvalid(Rows().Named("n", "Add", "x y", "y"), "'y' is read, which no node before it computes");
        IsInvalid(Rows().Node("Relu", "x", "z"), "no node computes an output of the graph");
        IsInvalid(
            Rows().Named("n", "Concat", "x x", "y", ("axis", 7)), "in Concat 'n', there is an axis 7 of 2");
        IsInvalid(
            Rows().Named("n", "LeakyRelu", "x", "y", ("alpha", 1)), "the attribute 'alpha' must be a number");
        IsInvalid(
            Rows().Tensor("w", [1, 2, float.NaN, 4], 4, 1).Node("MatMul", "x w", "y"), "kernel[2] is NaN");
        IsInvalid(
            Rows().Tensor("s", new float[4], 4).Tensor("v", [1, 1, -1, 1], 4)
                .Named("n", "BatchNormalization", "x s s s v", "y"),
            "in BatchNormalization 'n'", "-1");
        IsInvalid(
            new OnnxFile().Input("x", -1, 3, 4, 4).Output("y").Tensor("w", new float[8], 2, 4, 1, 1)
                .Named("n", "Conv", "x w", "y"),
            "in Conv 'n', the kernel is for 4 channels, and the image has 3");
        IsInvalid(
            new OnnxFile().Input("x", -1, 3, 4, 4).Output("y").Tensor("w", new float[75], 1, 3, 5, 5)
                .Named("n", "Conv", "x w", "y"),
            "in Conv 'n', the shapes do not fit");
        IsInvalid(
            Rows().Tensor("w", new float[4], 4).Tensor("w", new float[4], 4).Node("Add", "x w", "y"),
            "two tensors 'w'");
    }

    [TestMethod]
    public void Large_claims_in_a_small_file_allocate_next_to_nothing()
    {
        // Rows of 2³⁰ values, and more than any network has.
        Refused(new OnnxFile().Input("x", -1, 1 << 15, 1 << 15, 1).Output("y").Node("Relu", "x", "y"));
        Refused(new OnnxFile().Input("x", -1, long.MaxValue).Output("y").Node("Relu", "x", "y"));
        Refused(new OnnxFile().Input("x", -1, 1, 2, 2).Output("y").Tensor("w", [1], 1, 1, 1, 1)
            .Node("Conv", "x w", "y", ("pads", new[] { 1 << 26, 1 << 26, 1 << 26, 1 << 26 })));
        Refused(new OnnxFile().Input("x", -1, 1, 2, 2).Output("y")
            .Tensor("p", [0, 0, long.MaxValue, 0, 0, 0, long.MaxValue, 0]).Node("Pad", "x p", "a")
            .Node("MaxPool", "a", "y", ("kernel_shape", new[] { 2, 2 })));
        // A factor for each of 2²⁷ channels from one number.
        Refused(new OnnxFile().Input("x", -1, 1 << 27).Output("y").Tensor("c", [2f]).Node("Mul", "x c", "y"));
        Refused(new OnnxFile().Input("x", -1, 1 << 26).Output("y").Tensor("s", [1 << 13, 1 << 13, 1])
            .Node("Reshape", "x s", "y"));
        Refused(new OnnxFile().Input("x", -1, 1, 1 << 10, 1 << 10).Output("y")
            .Tensor("p", [0, 0, 1 << 26, 0, 0, 0, 0, 1 << 26]).Node("Pad", "x p", "a").Node("Relu", "a", "y"));
        // A tensor of a million dimensions of 1, and a value of as many.
        long[] ones = [.. Enumerable.Repeat(1L, 1_000_000)];
        Refused(Rows().Tensor("c", [2f], ones).Node("Mul", "x c", "y"));
        Refused(new OnnxFile().Input("x", [-1, .. ones]).Output("y").Node("Relu", "x", "y"));

        static void Refused(OnnxFile file) => Assert.IsFalse(TryLoad(file.ToBytes()));
    }

    [TestMethod]
    public void A_tensor_that_is_read_in_ten_thousand_ways_takes_no_memory_for_each()
    {
        OnnxFile file = new OnnxFile().Input("x", -1, 64).Output("y").Tensor("w", Sample.Floats(64 * 64, 1), 64, 64);
        for (int i = 0; i < 10_000; i++)
            file.Node("Gemm", $"{(i == 0 ? "x" : $"v{i}")} w", i == 9_999 ? "y" : $"v{i + 1}", ("alpha", 1f + i));
        Assert.IsFalse(TryLoad(file.ToBytes()));

        OnnxFile same = new OnnxFile().Input("x", -1, 64).Output("y").Tensor("w", Sample.Floats(64 * 64, 1), 64, 64);
        for (int i = 0; i < 10_000; i++)
            same.Node("Gemm", $"{(i == 0 ? "x" : $"v{i}")} w", i == 9_999 ? "y" : $"v{i + 1}");
        Assert.IsTrue(TryLoad(same.ToBytes()));
    }

    [TestMethod]
    public void Deep_graphs_and_long_sums_are_read_in_their_time()
    {
        OnnxFile deep = Rows(), sums = Rows(), names = Rows();
        for (int i = 0; i < 15_000; i++)
        {
            string from = i == 0 ? "x" : $"v{i}", to = i == 14_999 ? "y" : $"v{i + 1}";
            deep.Node("Relu", from, to);
            sums.Node("Add", $"{from} x", to);
            names.Named("same", "Relu", from, to);
        }
        foreach (OnnxFile file in (OnnxFile[])[deep, sums, names])
            Assert.IsTrue(TryLoad(file.ToBytes()));
    }

    [TestMethod]
    public void Sizes_and_dimensions_do_not_grow_from_node_to_node()
    {
        OnnxFile sizes = Rows().Node("Shape", "x", "s0"), values = Rows().Tensor("axes", [.. Axes(32)]);
        OnnxFile constants = Rows().Tensor("axes", [.. Axes(32)]).Tensor("c0", [2f]);
        for (int i = 0; i < 20; i++)
            sizes.Node("Concat", $"s{i} s{i}", $"s{i + 1}", ("axis", 0));
        for (int i = 0; i < 1000; i++)
        {
            values.Node("Unsqueeze", $"{(i == 0 ? "x" : $"v{i}")} axes", $"v{i + 1}");
            constants.Node("Unsqueeze", $"c{i} axes", $"c{i + 1}");
        }
        Assert.IsFalse(TryLoad(sizes.Node("Reshape", "x s20", "y").ToBytes()));
        Assert.IsFalse(TryLoad(values.Node("Flatten", "v1000", "y").ToBytes()));
        Assert.IsFalse(TryLoad(constants.Node("Mul", "x c1000", "y").ToBytes()));
        Assert.IsFalse(TryLoad(Rows().Tensor("s", [-1, 4, .. Axes(40).Select(_ => 1L)])
            .Node("Reshape", "x s", "v").Node("Flatten", "v", "y").ToBytes()));

        static IEnumerable<long> Axes(int count) => Enumerable.Range(1, count).Select(axis => (long)axis);
    }

    [TestMethod]
    public void A_long_list_of_axes_that_many_nodes_read_takes_no_memory_for_each()
    {
        OnnxFile file = new OnnxFile().Input("x", -1, 1, 4).Output("y").Tensor("one", [1L])
            .Tensor("axes", [.. Enumerable.Repeat(1L, 100_000)]);
        for (int i = 0; i < 500; i++)
        {
            file.Node("Squeeze", $"{(i == 0 ? "x" : $"v{i}")} axes", $"w{i}")
                .Node("Unsqueeze", $"w{i} one", i == 499 ? "y" : $"v{i + 1}");
        }
        Assert.IsFalse(TryLoad(file.ToBytes()));
    }

    [TestMethod]
    public void Many_constants_that_scale_one_value_are_read_in_their_time()
    {
        OnnxFile file = Rows();
        for (int i = 0; i < 15_000; i++)
            file.Tensor($"c{i}", [1 + i % 2 / 1024f])
                .Node("Mul", $"{(i == 0 ? "x" : $"v{i}")} c{i}", i == 14_999 ? "y" : $"v{i + 1}");
        Assert.IsTrue(TryLoad(file.ToBytes()));
    }

    [TestMethod]
    public void Constants_that_do_not_have_what_a_node_takes_of_them_are_named()
    {
        IsInvalid(
            Rows().Tensor("c", new float[8], 2, 4).Tensor("axes", [0L]).Named("n", "Squeeze", "c axes", "d")
                .Node("Add", "x d", "y"),
            "in Squeeze 'n', a dimension of 2 is removed");
        IsInvalid(
            Rows(11).Tensor("c", new float[8], 4, 2).Named("n", "Squeeze", "c", "d", ("axes", new[] { 1 }))
                .Node("Add", "x d", "y"),
            "in Squeeze 'n', a dimension of 2 is removed");
        foreach (string type in (string[])["Squeeze", "Unsqueeze", "Reshape", "ReduceMean"])
        {
            IsInvalid(
                new OnnxFile(18).Input("x", -1, 3, 4, 1).Output("y").Tensor("c", [3f], 1)
                    .Named("n", type, "x c", "a").Node("Flatten", "a", "y"),
                $"in {type} 'n', 'c' has no whole numbers");
        }
        IsInvalid(
            new OnnxFile().Input("x", -1, 1, 4, 4).Output("y").Tensor("p", new float[8]).Named("n", "Pad", "x p", "a")
                .Node("MaxPool", "a", "y", ("kernel_shape", new[] { 2, 2 })),
            "in Pad 'n', 'p' has no whole numbers");
        IsInvalid(
            new OnnxFile().Input("x", -1, 1, 4, 4).Output("y").Tensor("p", [0L, 0, 1, 1, 0, 0, 1, 1])
                .Tensor("v", [1f, 2], 2).Named("n", "Pad", "x p v", "a")
                .Node("AveragePool", "a", "y", ("kernel_shape", new[] { 2, 2 })),
            "in Pad 'n', 'v' has 2 values instead of one");
        IsInvalid(
            Rows().Tensor("two", [1f, 2], 2).Named("n", "Clip", "x two", "y"),
            "in Clip 'n', 'two' has 2 values instead of one");
        IsInvalid(
            Rows().Tensor("two", [0.1f, 0.2f], 2).Named("n", "Dropout", "x two", "y"),
            "in Dropout 'n', 'two' has 2 values instead of one");
    }

    [TestMethod]
    public void Factors_that_ten_thousand_nodes_take_for_a_correction_are_looked_at_in_their_time()
    {
        OnnxFile file = new OnnxFile().Input("x", -1, 1, 33, 33).Output("y").Tensor("c", [2f, 3, 4, 5], 1, 1, 2, 2)
            .Node(
                "AveragePool", "x", "p", ("kernel_shape", new[] { 32, 32 }), ("strides", new[] { 32, 32 }),
                ("pads", new[] { 0, 0, 31, 31 }), ("count_include_pad", 1));
        for (int i = 0; i < 10_000; i++)
            file.Node("Mul", "p c", $"m{i}");
        file.Node("Sum", string.Join(' ', Enumerable.Range(0, 10_000).Select(i => $"m{i}")), "y");
        Assert.IsFalse(TryLoad(file.ToBytes()));
    }

    [TestMethod]
    public void A_rate_next_to_one_is_one()
    {
        byte[] rate = OnnxFile.TensorOf("r", 11, [], tensor =>
        {
            tensor.WriteTag(10, Google.Protobuf.WireFormat.WireType.Fixed64);
            tensor.WriteDouble(1 - 1e-12);
        });
        Assert.IsTrue(TryLoad(Rows().Initializer(rate).Node("Dropout", "x r", "a").Node("Relu", "a", "y").ToBytes()));
    }

    [TestMethod]
    public void What_is_no_ONNX_file_is_said_to_be_none()
    {
        byte[][] files =
            ["PK\u0003\u0004"u8.ToArray(), new byte[100], [0x0B, .. new byte[50]], "{\"a\": 1}"u8.ToArray()];
        foreach (byte[] bytes in files)
        {
            InvalidDataException error = Assert.ThrowsExactly<InvalidDataException>(() => Reference.Load(bytes));
            StringAssert.Contains(error.Message, "The file is no ONNX file");
        }
    }

    static OnnxFile Rows(int opSet = 13) => new OnnxFile(opSet).Input("x", -1, 4).Output("y");

    static string PathOf(string name) => Path.Combine(AppContext.BaseDirectory, "Files", name);

    static void IsInvalid(OnnxFile file, params string[] fragments)
    {
        InvalidDataException error = Assert.ThrowsExactly<InvalidDataException>(() => Reference.Load(file.ToBytes()));
        foreach (string fragment in fragments)
            StringAssert.Contains(error.Message, fragment);
    }

    /// <summary>Whether a file gives a network; if not, its error is a sentence. Neither takes much memory.</summary>
    static bool TryLoad(byte[] bytes)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        string? refusal = null;
        SavedNetwork? saved = null;
        try
        {
            saved = Reference.Load(bytes);
        }
        catch (Exception error) when (error is InvalidDataException or NotSupportedException
            || error is ArgumentException { ParamName: "inputShape" })
        {
            refusal = error.Message;
        }
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.IsLessThanOrEqualTo(
            Free + (long)OfEach * bytes.Length, allocated, $"of {bytes.Length} bytes; {refusal}");
        if (refusal is not null)
            StringAssert.Matches(
                refusal, new(@"\A[\p{Lu}'].*\.( \(Parameter 'inputShape'\))?\z", RegexOptions.Singleline));
        return saved is not null;
    }
}
