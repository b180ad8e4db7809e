namespace Microsoft.ML.BatchNorm.Import.Tests;

/// <summary>
/// Layers with parameters, windows and shapes, each in a graph of its own that ONNX Runtime runs too.
/// </summary>
[TestClass]
public class OperatorTests
{
    /// <summary>Images of [3, 8, 7].</summary>
    static OnnxFile Images(int opSet = 13) => new OnnxFile(opSet).Input("x", -1, 3, 8, 7).Output("y");

    /// <summary>Rows of six features.</summary>
    static OnnxFile Rows(int opSet = 13) => new OnnxFile(opSet).Input("x", -1, 6).Output("y");

    static float[] Weights(int count, int seed = 1) => Sample.Floats(count, seed);

    static float[] Positive(int count, int seed = 1) =>
        Array.ConvertAll(Weights(count, seed), value => 0.5f + value * value);

    static Layer[] Layers(SavedNetwork saved) => [.. saved.Network.Nodes.Select(node => node.Layer)];

    static string Kinds(SavedNetwork saved) => string.Join(' ', Layers(saved).Select(layer => layer.Kind));

    static (string, object) Pads(params int[] sides) => ("pads", sides);

    [TestMethod]
    [DataRow(7, new[] { 0, 0, 0, 0 }, new[] { 1, 1 }, new[] { 1, 1 }, 1, true)]
    [DataRow(11, new[] { 3, 1, 2, 0 }, new[] { 2, 1 }, new[] { 1, 1 }, 1, false)]
    [DataRow(13, new[] { 1, 2, 3, 4 }, new[] { 1, 3 }, new[] { 2, 3 }, 1, true)]
    [DataRow(22, new[] { 1, 1, 1, 1 }, new[] { 2, 2 }, new[] { 1, 1 }, 3, true)]
    public void Convolutions_with_padding_per_side_strides_dilation_and_groups(
        int opSet, int[] pads, int[] strides, int[] dilations, int groups, bool useBias)
    {
        OnnxFile file = Images(opSet).Tensor("c.weight", Weights(6 * 3 / groups * 2 * 3), 6, 3 / groups, 2, 3)
            .Tensor("c.bias", Weights(6, 2), 6)
            .Node(
                "Conv", useBias ? "x c.weight c.bias" : "x c.weight", "y", Pads(pads), ("strides", strides),
                ("dilations", dilations), ("group", groups));
        var layer = (Conv2DLayer)Layers(Reference.Check(file)).Single();
        Assert.AreEqual(new Padding2D(pads[0], pads[1], pads[2], pads[3]), layer.Padding);
        Assert.AreEqual((groups, useBias), (layer.Groups, layer.UseBias));
    }

    [TestMethod]
    [DataRow("SAME_UPPER")]
    [DataRow("SAME_LOWER")]
    [DataRow("VALID")]
    public void A_convolution_with_padding_that_follows_from_the_size(string padding) =>
        Reference.Check(Images().Tensor("w", Weights(4 * 3 * 2 * 4), 4, 3, 2, 4)
            .Node("Conv", "x w", "y", ("auto_pad", padding), ("strides", new[] { 2, 3 })));

    [TestMethod]
    [DataRow(7)]
    [DataRow(9)]
    [DataRow(14)]
    [DataRow(15)]
    public void Batch_normalization_with_the_file_s_epsilon_and_momentum(int opSet)
    {
        SavedNetwork saved = Reference.Check(Normalization(Images(opSet), ("epsilon", 0.02f), ("momentum", 0.97f)));
        BatchNormalizationOptions options = ((BatchNormalizationLayer)Layers(saved).Single()).Options;
        Assert.AreEqual((0.02, 0.97), (options.Epsilon, options.Momentum));
        Assert.AreEqual(
            (MovingStatistics.Exponential, VarianceConvention.Population, true, true),
            (options.MovingStatistics, options.VarianceConvention, options.Trainable, options.UpdateStatistics));
        BatchNormalizationState state = saved.State["bn"].BatchNormalization!;
        CollectionAssert.AreEqual(Positive(3), state.Gamma.ToArray());
        CollectionAssert.AreEqual(Weights(3, 3), state.MovingMean.ToArray().Select(value => (float)value).ToArray());
        Assert.AreEqual((0L, 0.0), (state.BatchesSeen, state.InitialWeight));
    }

    [TestMethod]
    public void A_batch_normalization_that_states_neither_has_the_standard_s_epsilon_and_no_momentum()
    {
        BatchNormalizationOptions options =
            ((BatchNormalizationLayer)Layers(Reference.Check(Normalization(Images()))).Single()).Options;
        Assert.AreEqual((1e-5, null), (options.Epsilon, options.Momentum));
    }

    [TestMethod]
    public void PyTorch_s_files_have_PyTorch_s_variance_and_new_heads_begin_as_in_PyTorch()
    {
        OnnxFile file = Normalization(new OnnxFile(13, "pytorch").Input("x", -1, 3).Output("z"))
            .Tensor("fc.weight", Weights(6), 3, 2).Node("MatMul", "y fc.weight", "z");
        SavedNetwork saved = Reference.Check(file);
        Assert.AreEqual(NetworkPreset.PyTorch, saved.Network.Preset);
        Assert.AreEqual(
            VarianceConvention.Sample, ((BatchNormalizationLayer)Layers(saved)[0]).Options.VarianceConvention);
        Assert.AreEqual(KernelInitializer.PyTorch, ((DenseLayer)Layers(saved)[1]).KernelInitializer);
    }

    static OnnxFile Normalization(OnnxFile file, params (string, object)[] attributes) => file
        .Tensor("bn.weight", Positive(3), 3).Tensor("bn.bias", Weights(3, 2), 3).Tensor("bn.mean", Weights(3, 3), 3)
        .Tensor("bn.var", Positive(3, 4), 3)
        .Node("BatchNormalization", "x bn.weight bn.bias bn.mean bn.var", "y", attributes);

    [TestMethod]
    public void What_is_added_before_a_normalization_is_part_of_its_mean()
    {
        OnnxFile file = new OnnxFile().Input("input", -1, 3, 5, 4).Output("y").Tensor("c", [1, -2, 3], 3, 1, 1)
            .Node("Sub", "input c", "x");
        SavedNetwork saved = Reference.Check(Normalization(file));
        Assert.AreEqual("BatchNormalization", Kinds(saved));
        Assert.AreEqual(Weights(3, 3)[1] - 2.0, saved.State["bn"].BatchNormalization!.MovingMean[1]);
    }

    [TestMethod]
    public void What_is_added_per_channel_before_a_normalization_of_features_stays_apart() => Assert.AreEqual(
        "BatchNormalization Flatten BatchNormalization", Kinds(Reference.Check(Images().Tensor("c", [1, -2, 3], 3, 1, 1)
            .Tensor("s", Positive(168), 168).Tensor("b", Weights(168), 168).Node("Sub", "x c", "a")
            .Node("Flatten", "a", "f").Node("BatchNormalization", "f s b b s", "y"))));

    [TestMethod]
    [DataRow(7, 1, 1f, 1f, "5")]
    [DataRow(9, 0, 1f, 1f, "5")]
    [DataRow(13, 0, 0.5f, -2f, "1,5")]
    [DataRow(13, 1, 2f, 3f, "1")]
    [DataRow(13, 1, 2f, 3f, "")]
    [DataRow(13, 1, 1f, 1f, "none")]
    [DataRow(13, 1, 1f, 0f, "5")]
    public void Dense_layers_with_factors_and_kernels_either_way(
        int opSet, int transposed, float alpha, float beta, string bias)
    {
        long[] shape = bias is "none" or "" ? [] : Array.ConvertAll(bias.Split(','), long.Parse);
        OnnxFile file = (transposed == 1
                ? Rows(opSet).Tensor("fc.weight", Weights(30), 5, 6)
                : Rows(opSet).Tensor("fc.weight", Weights(30), 6, 5))
            .Tensor("fc.bias", Weights((int)shape.Aggregate(1L, (size, next) => size * next), 2), shape)
            .Node(
                "Gemm", bias == "none" ? "x fc.weight" : "x fc.weight fc.bias", "y", ("transB", transposed),
                ("alpha", alpha), ("beta", beta));
        SavedNetwork saved = Reference.Check(file);
        Assert.AreEqual(bias != "none" && beta != 0, ((DenseLayer)Layers(saved).Single()).UseBias);
        Assert.AreEqual("fc", saved.Network.Nodes.Single().Path);
    }

    [TestMethod]
    public void A_dense_layer_that_reads_a_transposed_batch_transposed() =>
        Assert.AreEqual("Dense", Kinds(Reference.Check(Rows().Tensor("w", Weights(30), 6, 5)
            .Node("Transpose", "x", "t").Node("Gemm", "t w", "y", ("transA", 1)))));

    [TestMethod]
    public void A_zero_bias_of_a_Gemm_is_left_out_with_a_note()
    {
        OnnxFile file = Rows(9).Tensor("w", Weights(30), 6, 5).Tensor("b", new float[5], 5)
            .Named("g", "Gemm", "x w b", "y");
        Assert.IsFalse(((DenseLayer)Layers(Reference.Check(file)).Single()).UseBias);
        var notes = new List<string>();
        OnnxImport.Load(new MemoryStream(file.ToBytes()), note: notes.Add);
        StringAssert.StartsWith(notes.Single(), "The bias of Gemm 'g' is zero, and is left out");
    }

    [TestMethod]
    [DataRow("Add", "t b")]
    [DataRow("Add", "b t")]
    [DataRow("Sub", "t b")]
    public void A_product_of_matrices_with_what_is_added_to_it(string type, string operands)
    {
        SavedNetwork saved = Reference.Check(Rows().Tensor("w", Weights(30), 6, 5).Tensor("b", Weights(5, 2), 5)
            .Node("MatMul", "x w", "t").Node(type, operands, "y"));
        Assert.IsTrue(((DenseLayer)Layers(saved).Single()).UseBias);
    }

    [TestMethod]
    public void A_convolution_with_what_is_added_to_it_per_channel()
    {
        SavedNetwork saved = Reference.Check(Images().Tensor("w", Weights(12), 4, 3, 1, 1)
            .Tensor("b", Weights(4, 2), 1, 4, 1, 1).Node("Conv", "x w", "t").Node("Add", "t b", "y"));
        Assert.IsTrue(((Conv2DLayer)Layers(saved).Single()).UseBias);
    }

    [TestMethod]
    public void What_is_added_to_a_product_that_others_read_too_is_not_its_bias() =>
        Assert.AreEqual("Dense BatchNormalization Add", Kinds(Reference.Check(Rows()
            .Tensor("w", Weights(30), 6, 5).Tensor("b", Weights(5, 2), 5).Node("MatMul", "x w", "t")
            .Node("Add", "t b", "u").Node("Add", "t u", "y"))));

    [TestMethod]
    public void Parameters_may_be_transposed_reshaped_and_renamed_first()
    {
        SavedNetwork saved = Reference.Check(Rows().Tensor("w", Weights(30), 5, 6).Tensor("b", Weights(5, 2), 1, 5)
            .Tensor("shape", [5]).Node("Transpose", "w", "wt", ("perm", new[] { 1, 0 }))
            .Node("Identity", "wt", "fc.weight").Node("Reshape", "b shape", "fc.bias")
            .Node("Cast", "fc.bias", "fc.bias2", ("to", 1))
            .Node("MatMul", "x fc.weight", "t").Node("Add", "fc.bias2 t", "y"));
        Assert.AreEqual("fc", saved.Network.Nodes.Single().Path);
    }

    [TestMethod]
    [DataRow(11, 0, new[] { 0, 0, 0, 0 }, new[] { 2, 2 }, new[] { 2, 2 })]
    [DataRow(11, 1, new[] { 0, 0, 0, 0 }, new[] { 3, 3 }, new[] { 2, 2 })]
    [DataRow(11, 0, new[] { 1, 0, 2, 1 }, new[] { 3, 2 }, new[] { 1, 2 })]
    [DataRow(12, 1, new[] { 1, 1, 1, 1 }, new[] { 3, 3 }, new[] { 2, 2 })]
    [DataRow(19, 1, new[] { 1, 1, 0, 0 }, new[] { 3, 2 }, new[] { 3, 2 })]
    [DataRow(22, 1, new[] { 0, 1, 0, 0 }, new[] { 3, 4 }, new[] { 2, 3 })]
    public void Pooling_with_padding_per_side_and_beyond_the_image(
        int opSet, int ceil, int[] pads, int[] size, int[] strides)
    {
        (string, object)[] attributes =
            [("kernel_shape", size), ("strides", strides), Pads(pads), ("ceil_mode", ceil)];
        Reference.Check(Images(opSet).Node("MaxPool", "x", "y", attributes));
        Reference.Check(Images(opSet).Node("AveragePool", "x", "y", attributes));
        Reference.Check(Images(opSet).Node("AveragePool", "x", "y", [.. attributes, ("count_include_pad", 1)]));
    }

    [TestMethod]
    [DataRow("SAME_UPPER")]
    [DataRow("SAME_LOWER")]
    [DataRow("VALID")]
    public void Pooling_with_padding_that_follows_from_the_size(string padding)
    {
        foreach (string type in (string[])["MaxPool", "AveragePool"])
        {
            Reference.Check(Images(8).Node(
                type, "x", "y", ("kernel_shape", new[] { 2, 3 }), ("strides", new[] { 2, 2 }), ("auto_pad", padding)));
        }
    }

    [TestMethod]
    public void Means_over_height_and_width()
    {
        Assert.AreEqual("GlobalAveragePool2D", Kinds(Reference.Check(Images().Node("GlobalAveragePool", "x", "y"))));
        foreach (int keeps in (int[])[0, 1])
        {
            Reference.Check(Images(11).Node("ReduceMean", "x", "y", ("axes", new[] { -1, 2 }), ("keepdims", keeps)));
            Reference.Check(Images(18).Tensor("axes", [2L, 3]).Node("ReduceMean", "x axes", "y", ("keepdims", keeps)));
        }
    }

    [TestMethod]
    public void Squeeze_and_excitation_whose_factors_are_convolutions_of_one_pixel()
    {
        OnnxFile file = Images().Tensor("se.1.weight", Weights(6), 2, 3, 1, 1).Tensor("se.1.bias", Weights(2, 2), 2)
            .Tensor("se.2.weight", Weights(6, 3), 3, 2, 1, 1).Node("GlobalAveragePool", "x", "m")
            .Node("Conv", "m se.1.weight se.1.bias", "a").Node("Relu", "a", "b").Node("Conv", "b se.2.weight", "c")
            .Node("HardSigmoid", "c", "d", ("alpha", 1f / 6)).Node("Mul", "d x", "y");
        SavedNetwork saved = Reference.Check(file);
        Assert.AreEqual("GlobalAveragePool2D Dense ReLU Dense HardSigmoid Multiply", Kinds(saved));
        Assert.AreEqual("se.1", saved.Network.Nodes[1].Path);
    }

    [TestMethod]
    [DataRow("Add")]
    [DataRow("Sum")]
    [DataRow("Mul")]
    public void Sums_and_products_of_computed_values(string type) => Reference.Check(
        Images().Node("Tanh", "x", "a").Node("Relu", "x", "b").Node(type, "a b", "y"));

    [TestMethod]
    public void Sums_of_several_values_are_one_layer_that_adds_in_their_order()
    {
        Assert.AreEqual("Tanh ReLU Add", Kinds(Reference.Check(
            Rows().Node("Tanh", "x", "a").Node("Relu", "x", "b").Node("Sum", "a x b x", "y"))));
        Assert.AreEqual("Tanh ReLU Add", Kinds(Reference.Check(Rows().Node("Tanh", "x", "a").Node("Relu", "x", "b")
            .Node("Add", "a b", "s").Node("Add", "s x", "y"))));
        Assert.AreEqual("Tanh ReLU Add Add", Kinds(Reference.Check(Rows().Node("Tanh", "x", "a").Node("Relu", "x", "b")
            .Node("Add", "a b", "s").Node("Add", "s x", "t").Node("Add", "x t", "y"))));
    }

    [TestMethod]
    public void Factors_per_channel_from_either_side()
    {
        foreach (string operands in (string[])["x f", "f x"])
        {
            Reference.Check(Images().Node("AveragePool", "x", "m", ("kernel_shape", new[] { 8, 7 }))
                .Node("Sigmoid", "m", "f").Node("Mul", operands, "y"));
            Reference.Check(Images().Tensor("axes", [2L, 3]).Node("GlobalAveragePool", "x", "m")
                .Node("Flatten", "m", "n").Node("Sigmoid", "n", "o").Node("Unsqueeze", "o axes", "f")
                .Node("Mul", operands, "y"));
        }
    }

    [TestMethod]
    public void An_image_of_one_pixel_stays_an_image_when_it_is_multiplied_by_factors()
    {
        foreach (string operands in (string[])["p f", "f p"])
        {
            Assert.AreEqual(
                "AveragePool2D GlobalAveragePool2D Sigmoid Multiply Conv2D", Kinds(Reference.Check(Images()
                    .Tensor("w", Weights(27), 3, 1, 3, 3)
                    .Node("AveragePool", "x", "p", ("kernel_shape", new[] { 8, 7 }))
                    .Node("GlobalAveragePool", "x", "m").Node("Sigmoid", "m", "f").Node("Mul", operands, "q")
                    .Node("Conv", "q w", "y", ("group", 3), Pads(1, 1, 1, 1)))));
        }
    }

    [TestMethod]
    public void Channels_side_by_side()
    {
        Assert.AreEqual("ReLU Tanh Concat", Kinds(Reference.Check(Images().Node("Relu", "x", "a")
            .Node("Tanh", "x", "b").Node("Concat", "a x b", "y", ("axis", 1)))));
        Reference.Check(Rows().Node("Relu", "x", "a").Node("Concat", "a x", "y", ("axis", -1)));
        // One is [3] here, and the other [3, 1, 1].
        Reference.Check(Images().Node("GlobalAveragePool", "x", "a")
            .Node("MaxPool", "x", "b", ("kernel_shape", new[] { 8, 7 })).Node("Concat", "a b", "y", ("axis", 1)));
    }

    [TestMethod]
    public void Padding_before_a_window_is_the_window_s_own()
    {
        var padding = new Padding2D(1, 2, 3, 0);
        OnnxFile[] files =
        [
            Images(9).Node("Pad", "x", "p", Pads(0, 0, 1, 2, 0, 0, 3, 0)),
            Images(13).Tensor("pads", [0L, 0, 1, 2, 0, 0, 3, 0]).Tensor("zero", [0f]).Node("Pad", "x pads zero", "p"),
            Images(18).Tensor("pads", [1L, 2, 3, 0]).Tensor("axes", [2L, -1]).Node("Pad", "x pads - axes", "p"),
        ];
        foreach (OnnxFile file in files)
        {
            SavedNetwork saved = Reference.Check(file.Tensor("w", Weights(4 * 3 * 4 * 3), 4, 3, 4, 3)
                .Node("Conv", "p w", "y", Pads(1, 0, 0, 0)));
            Assert.AreEqual(padding with { Top = 2 }, ((Conv2DLayer)Layers(saved).Single()).Padding);
        }
    }

    [TestMethod]
    public void Padding_before_pooling_counts_as_it_does_there()
    {
        OnnxFile Padded() => Images().Tensor("pads", [0L, 0, 1, 0, 0, 0, 2, 1]).Node("Relu", "x", "r")
            .Node("Pad", "r pads", "p");
        (string, object)[] window = [("kernel_shape", new[] { 3, 3 }), ("strides", new[] { 2, 2 })];
        Reference.Check(Padded().Node("AveragePool", "p", "y", window));
        Reference.Check(Padded().Node("AveragePool", "p", "y", [.. window, ("ceil_mode", 1)]));
        Reference.Check(Padded().Node("MaxPool", "p", "y", window));
        // Without the ReLU, a zero may be the greatest value.
        Failures.Are(Images().Tensor("pads", [0L, 0, 1, 0, 0, 0, 2, 1]).Named("zeros", "Pad", "x pads", "p")
            .Node("MaxPool", "p", "y", window), "Pad 'zeros'");
        Reference.Check(Images().Tensor("pads", [0L, 0, 1, 0, 0, 0, 2, 1]).Tensor("least", [float.MinValue])
            .Node("Pad", "x pads least", "p").Node("MaxPool", "p", "y", window));
    }

    [TestMethod]
    public void Images_in_one_dimension()
    {
        OnnxFile Layer(OnnxFile file) => file.Tensor("w", Weights(168 * 2), 168, 2).Node("MatMul", "f w", "y");
        Assert.AreEqual("Flatten Dense", Kinds(Reference.Check(Layer(Images().Node("Flatten", "x", "f")))));
        Reference.Check(Layer(Images().Node("Flatten", "x", "f", ("axis", -3))));
        Assert.AreEqual("Tanh Flatten Dense", Kinds(Reference.Check(Layer(Images().Tensor("s", [-1L, 168])
            .Node("Tanh", "x", "t").Node("Reshape", "t s", "f")))));
        Reference.Check(Layer(Images().Tensor("s", [0L, -1]).Node("Reshape", "x s", "f")));
        // x.view(x.size(0), -1)
        Reference.Check(Layer(Images().Tensor("zero", [0L]).Tensor("rest", [-1L]).Node("Shape", "x", "shape")
            .Node("Gather", "shape index", "n").Initializer(OnnxFile.TensorOf("index", [0L]))
            .Node("Unsqueeze", "n zero", "nn").Node("Concat", "nn rest", "s", ("axis", 0))
            .Node("Reshape", "x s", "f")));
        Reference.Check(Layer(Images().Tensor("zero", [0L]).Tensor("one", [1L]).Tensor("rest", [-1L])
            .Node("Shape", "x", "shape").Node("Slice", "shape zero one", "n").Node("Concat", "n rest", "s", ("axis", 0))
            .Node("Reshape", "x s", "f")));
        // A flat input that the first layer reads as images.
        byte[] file = new OnnxFile().Input("x", -1, 168).Output("y").Tensor("s", [-1L, 3, 8, 7])
            .Tensor("w", Weights(12), 4, 3, 1, 1).Node("Reshape", "x s", "i").Node("Conv", "i w", "y").ToBytes();
        var notes = new List<string>();
        SavedNetwork saved = OnnxImport.Load(new MemoryStream(file), note: notes.Add);
        Assert.AreEqual(new TensorShape(3, 8, 7), saved.Network.InputShape);
        Assert.AreEqual(
            "The file's rows are [168], and the network's [3, 8, 7], with the same values.", notes.Single());
        float[] rows = Sample.Floats(2 * 168, seed: 1);
        Reference.AssertClose(Reference.Run(file, 2, rows, [168]), saved, rows);
    }

    [TestMethod]
    public void Padding_whose_image_got_another_shape_is_not_the_window_s_own() => Failures.Are(
        new OnnxFile().Input("x", -1, 1, 4, 4).Output("y").Tensor("pads", [0L, 0, 1, 1, 0, 0, 1, 1])
            .Tensor("s", [0L, 1, 4, 9]).Tensor("w", Weights(4), 1, 1, 2, 2).Named("zeros", "Pad", "x pads", "p")
            .Node("Reshape", "p s", "q").Named("conv", "Conv", "q w", "y"),
        "Pad 'zeros'", "Conv 'conv'");

    [TestMethod]
    public void Factors_of_means_that_got_another_shape_are_no_correction() => Failures.Are(
        new OnnxFile().Input("x", -1, 9, 4, 4).Output("y").Tensor("s", [0L, 16, 3, 3])
            .Tensor("c", [1, 1, 1, 1, 1, 1, 1, 1, 1], 1, 1, 3, 3)
            .Node(
                "AveragePool", "x", "p", ("kernel_shape", new[] { 2, 2 }), Pads(0, 0, 1, 1), ("count_include_pad", 1))
            .Node("Reshape", "p s", "q").Named("m", "Mul", "q c", "r").Node("Flatten", "r", "y"),
        "Mul 'm' (its constant is not one number");

    [TestMethod]
    public void One_tensor_that_is_transposed_in_two_shapes_is_two_kernels() => Reference.Check(Rows()
        .Tensor("w", Weights(36), 36).Tensor("s1", [6L, 6]).Tensor("s2", [9L, 4]).Tensor("t", Weights(54), 6, 9)
        .Node("Reshape", "w s1", "a").Node("Transpose", "a", "b").Node("Reshape", "w s2", "c")
        .Node("Transpose", "c", "d").Node("Gemm", "x b", "e", ("transB", 1)).Node("MatMul", "e t", "f")
        .Node("Gemm", "f d", "y", ("transB", 1)));

    [TestMethod]
    public void Casts_to_whole_numbers_are_listed()
    {
        foreach (int to in (int[])[1, 11])
        {
            Reference.Check(Rows().Node("Cast", "x", "a", ("to", to)).Node("Cast", "a", "b", ("to", 1))
                .Node("Relu", "b", "y"));
        }
        Failures.Are(
            Rows().Named("c", "Cast", "x", "a", ("to", 6)).Node("Cast", "a", "b", ("to", 1)).Node("Relu", "b", "y"),
            "Cast 'c' (it rounds to whole numbers)");
        Failures.Are(
            Rows().Named("c", "Cast", "x", "a", ("to", 9)).Node("Cast", "a", "b", ("to", 1)).Node("Relu", "b", "y"),
            "Cast 'c' (it rounds to whole numbers)");
        Failures.Are(
            Rows().Tensor("k", Weights(6), 6).Named("c", "Cast", "k", "a", ("to", 7))
                .Node("Cast", "a", "b", ("to", 1)).Node("Mul", "x b", "y"),
            "Cast 'c' (it rounds to whole numbers)");
        Reference.Check(Rows().Tensor("k", [1L, 2, 3, 4, 5, 6]).Node("Cast", "k", "i", ("to", 6))
            .Node("Cast", "i", "f", ("to", 1)).Node("Mul", "x f", "y"));
        Reference.Check(Images().Tensor("rest", [-1]).Tensor("zero", [0L]).Node("Shape", "x", "s")
            .Node("Slice", "s zero one", "n").Tensor("one", [1L]).Node("Cast", "n", "m", ("to", 6))
            .Node("Cast", "m", "k", ("to", 7)).Node("Concat", "k rest", "t", ("axis", 0)).Node("Reshape", "x t", "y"));
    }

    [TestMethod]
    public void A_small_summand_is_not_lost() => Assert.AreEqual(
        "BatchNormalization ReLU BatchNormalization", Kinds(Reference.Check(Rows().Tensor("small", [1e-8f])
            .Node("Mul", "x small", "tiny").Node("Relu", "tiny", "r").Node("Add", "r small", "y"))));

    [TestMethod]
    public void A_batch_of_one_in_a_reshape_is_noted()
    {
        byte[] file = Images().Tensor("s", [1L, -1]).Named("r", "Reshape", "x s", "a").Node("Relu", "a", "y").ToBytes();
        var notes = new List<string>();
        SavedNetwork saved = OnnxImport.Load(new MemoryStream(file), note: notes.Add);
        Assert.AreEqual(new TensorShape(168), saved.Network.OutputShape);
        StringAssert.StartsWith(notes.Single(), "Reshape 'r' makes batches of 1 row");
    }

    [TestMethod]
    public void A_choice_between_values_that_are_seen_in_different_order_is_listed()
    {
        OnnxFile Square() => new OnnxFile().Input("x", -1, 2, 4, 4).Output("y").Node("Relu", "x", "r")
            .Node("IsNaN", "x", "n").Node("Transpose", "r", "q", ("perm", new[] { 0, 1, 3, 2 }))
            .Node("Transpose", "n", "m", ("perm", new[] { 0, 1, 3, 2 }));
        Assert.AreEqual("ReLU", Kinds(Reference.Check(Square().Node("Where", "n x r", "y"))));
        Failures.Are(Square().Named("w", "Where", "n x q", "y"), "IsNaN", "Where 'w'");
        Failures.Are(Square().Named("w", "Where", "m x r", "y"), "IsNaN", "Where 'w'");
        Failures.Are(
            Square().Tensor("zero", [0f], 1, 1, 1, 1, 1).Named("w", "Where", "n x zero", "a").Node("Add", "a x", "y"),
            "IsNaN", "Where 'w'");
    }

    [TestMethod]
    public void Dimensions_of_one_element_come_and_go()
    {
        Reference.Check(Images(11).Node("GlobalAveragePool", "x", "m")
            .Node("Squeeze", "m", "n", ("axes", new[] { 2, 3 })).Tensor("w", Weights(6), 3, 2)
            .Node("MatMul", "n w", "y"));
        Reference.Check(Images().Tensor("axes", [-1L, 2]).Node("GlobalAveragePool", "x", "m")
            .Node("Squeeze", "m axes", "n").Tensor("w", Weights(6), 3, 2).Node("MatMul", "n w", "t")
            .Node("Unsqueeze", "t axes", "u").Node("Relu", "u", "v").Node("Flatten", "v", "y"));
    }

    [TestMethod]
    public void Scale_and_shift_of_the_input_are_a_frozen_normalization_of_these_numbers()
    {
        float[] means = [0.485f, 0.456f, 0.406f], deviations = [0.229f, 0.224f, 0.225f];
        OnnxFile file = Images().Tensor("max", [255f]).Tensor("mean", means, 1, 3, 1, 1)
            .Tensor("std", deviations, 3, 1, 1).Tensor("w", Weights(12), 4, 3, 1, 1).Node("Cast", "x", "c", ("to", 1))
            .Node("Div", "c max", "a").Node("Sub", "a mean", "b").Named("scaled", "Div", "b std", "d")
            .Node("Conv", "d w", "y");
        SavedNetwork saved = Reference.Check(file);
        var layer = (BatchNormalizationLayer)Layers(saved)[0];
        Assert.AreEqual("BatchNormalization Conv2D", Kinds(saved));
        Assert.IsFalse(layer.Trainable);
        Assert.AreEqual(0, layer.Options.Epsilon);
        BatchNormalizationState state = saved.State["scaled"].BatchNormalization!;
        Assert.AreEqual((float)(1 / 255.0 / deviations[1]), state.Gamma[1]);
        Assert.AreEqual((float)(-means[1] / (double)deviations[1]), state.Beta[1]);

        OnnxFile subtracted = Rows().Tensor("mean", [100, 200, 300, 400, 500, 600], 6).Tensor("std", Positive(6), 6)
            .Node("Sub", "x mean", "a").Named("n", "Div", "a std", "y");
        state = Reference.Check(subtracted).State["n"].BatchNormalization!;
        Assert.AreEqual(200.0, state.MovingMean[1]);
        Assert.AreEqual(0, state.Beta[1]);
    }

    [TestMethod]
    public void A_number_minus_a_value_and_a_factor_inside_the_network() => Assert.AreEqual(
        "Tanh BatchNormalization ReLU", Kinds(Reference.Check(Images().Tensor("one", [1f]).Tensor("two", [2f])
            .Node("Tanh", "x", "a").Node("Sub", "one a", "b").Node("Mul", "two b", "c").Node("Relu", "c", "y"))));

    [TestMethod]
    public void Images_with_channels_last_are_taken_with_channels_first()
    {
        // As tf2onnx writes a Keras network: a kernel for [height, width, channels], flattened in that order.
        OnnxFile file = new OnnxFile().Input("x", -1, 4, 5, 3).Output("y").Tensor("max", [0.5f, 2, 3], 3)
            .Tensor("w", Weights(2 * 3 * 4), 2, 3, 2, 2).Tensor("s", [-1L, 24]).Tensor("d", Weights(48, 2), 24, 2)
            .Node("Mul", "x max", "a").Node("Transpose", "a", "b", ("perm", new[] { 0, 3, 1, 2 }))
            .Node("Conv", "b w", "c").Node("Transpose", "c", "e", ("perm", new[] { 0, 2, 3, 1 })).Node("Relu", "e", "f")
            .Node("Reshape", "f s", "g").Node("MatMul", "g d", "y");
        var notes = new List<string>();
        SavedNetwork saved = OnnxImport.Load(new MemoryStream(file.ToBytes()), note: notes.Add);
        Assert.AreEqual(new TensorShape(3, 4, 5), saved.Network.InputShape);
        StringAssert.Contains(notes.Single(), "channels last");
        float[] last = Sample.Floats(2 * 60, seed: 1), first = new float[120];
        for (int row = 0; row < 2; row++)
        {
            for (int place = 0; place < 20; place++)
            {
                for (int channel = 0; channel < 3; channel++)
                    first[row * 60 + channel * 20 + place] = last[row * 60 + place * 3 + channel];
            }
        }
        Reference.AssertClose(Reference.Run(file.ToBytes(), 2, last, [4, 5, 3]), saved, first);
    }

    [TestMethod]
    public void The_shape_of_images_with_channels_last_is_given_as_the_file_has_it()
    {
        byte[] file = new OnnxFile().Input("x", -1, -2, -3, 3).Output("y").Tensor("w", Weights(12), 4, 3, 1, 1)
            .Node("Transpose", "x", "t", ("perm", new[] { 0, 3, 1, 2 })).Node("Conv", "t w", "y").ToBytes();
        SavedNetwork saved = Reference.Load(file, new TensorShape(4, 5, 3));
        Assert.AreEqual(new TensorShape(3, 4, 5), saved.Network.InputShape);
        StringAssert.StartsWith(
            Assert.ThrowsExactly<ArgumentException>(() => Reference.Load(file, new TensorShape(3, 4, 5))).Message,
            "The rows of the input 'x' cannot be [3, 4, 5]: its shape is [?, ?, ?, 3], batch first.");
    }

    [TestMethod]
    public void What_is_refused_of_a_file_with_channels_last_is_refused_for_its_own_reason() => Failures.Are(
        new OnnxFile().Input("x", -1, 4, 5, 3).Output("y").Tensor("w", Weights(12), 4, 3, 1, 1)
            .Node("Transpose", "x", "t", ("perm", new[] { 0, 3, 1, 2 })).Node("Conv", "t w", "c")
            .Named("elu", "Elu", "c", "y"),
        "Elu 'elu'");

    [TestMethod]
    public void A_normalization_along_another_axis()
    {
        OnnxFile file = new OnnxFile().Input("input", -1, 2, 3, 4).Output("z")
            .Node("Transpose", "input", "x", ("perm", new[] { 0, 2, 1, 3 }));
        SavedNetwork saved = Reference.Check(
            Normalization(file).Node("Transpose", "y", "z", ("perm", new[] { 0, 2, 1, 3 })));
        Assert.AreEqual(2, ((BatchNormalizationLayer)Layers(saved).Single()).Options.Axis);
    }

    [TestMethod]
    public void A_bound_on_a_ReLU_that_others_read_too_is_a_function_of_its_own() => Assert.AreEqual(
        "ReLU ReLU6 Add", Kinds(Reference.Check(Rows().Initializer(OnnxFile.TensorOf("six", [6f]))
            .Node("Relu", "x", "r").Node("Min", "r six", "c").Node("Add", "r c", "y"))));

    [TestMethod]
    public void Constants_whose_shape_depends_on_the_batch_are_listed() => Failures.Are(
        Rows().Tensor("c", Weights(6), 6).Tensor("zero", [0L]).Tensor("one", [1L]).Tensor("rest", [-1L])
            .Node("Shape", "x", "s").Node("Slice", "s zero one", "n").Node("Concat", "n rest", "t", ("axis", 0))
            .Named("r", "Reshape", "c t", "d").Node("Add", "x d", "y"),
        "Reshape 'r' (its shape depends on the batch)");

    [TestMethod]
    public void Parts_of_a_layer_alone_are_listed_with_the_layer()
    {
        Failures.Are(Rows().Named("e", "Erf", "x", "y"), "Erf 'e' (it is not part of a Gelu)");
        Failures.Are(
            Images().Tensor("p", [0L, 0, 1, 1, 0, 0, 1, 1]).Named("p", "Pad", "x p", "y"),
            "Pad 'p' (no window after it can take its padding)");
        Failures.Are(
            Rows().Named("s", "Softmax", "x", "a").Node("Relu", "a", "y"), "Softmax 's' (it is not at the end)");
        Failures.Are(
            Rows().Named("n", "IsNaN", "x", "a").Node("Cast", "a", "y", ("to", 1)),
            "IsNaN 'n' (it is not part of a layer that keeps NaN)");
        Failures.Are(
            Rows().Named("d", "Sub", "x x", "y"), "Sub 'd' (it is not part of a layer that keeps NaN)");
    }

    [TestMethod]
    public void A_dropout_drops_again_in_training()
    {
        SavedNetwork saved = Reference.Check(Rows(11).Node("Dropout", "x", "y mask", ("ratio", 0.3f)));
        Assert.AreEqual(0.3, ((DropoutLayer)Layers(saved).Single()).Rate);
        saved = Reference.Check(Rows().Initializer(OnnxFile.TensorOf("r", [0.2f])).Node("Dropout", "x r", "y"));
        Assert.AreEqual(0.2, ((DropoutLayer)Layers(saved).Single()).Rate);
        var notes = new List<string>();
        OnnxFile all = Rows(11).Named("d", "Dropout", "x", "a", ("ratio", 1f)).Node("Relu", "a", "y");
        Assert.AreEqual("ReLU", Kinds(OnnxImport.Load(new MemoryStream(all.ToBytes()), note: notes.Add)));
        StringAssert.StartsWith(notes.Single(), "Dropout 'd' drops every value in training, and is left out");
    }

    [TestMethod]
    [DataRow("Softmax")]
    [DataRow("LogSoftmax")]
    public void A_softmax_at_the_end_is_left_out_with_a_note(string type)
    {
        byte[] file = Rows().Tensor("w", Weights(30), 6, 5).Node("MatMul", "x w", "t").Named("s", type, "t", "u")
            .Node("Identity", "u", "y").ToBytes();
        var notes = new List<string>();
        SavedNetwork saved = OnnxImport.Load(new MemoryStream(file), note: notes.Add);
        Assert.AreEqual("Dense", Kinds(saved));
        StringAssert.StartsWith(notes.Single(), $"{type} 's' at the end is left out");
        float[] x = Sample.Floats(12, 3);
        Reference.AssertClose(
            Reference.Run(file, 2, x, [6]), saved, x, type,
            logits => Reference.Softmax(logits, 5, type == "LogSoftmax"));
    }

    [TestMethod]
    public void A_softmax_of_an_old_version_is_over_all_dimensions_from_its_axis_on()
    {
        OnnxFile file = Images(11).Named("s", "Softmax", "x", "y");
        float[] x = Sample.Floats(2 * 168, 3);
        Reference.AssertClose(
            Reference.Run(file.ToBytes(), 2, x, [3, 8, 7]), Reference.Load(file.ToBytes()), x,
            end: values => Reference.Softmax(values, 168, isLogarithm: false));
        Failures.Are(
            Images(11).Named("s", "Softmax", "x", "y", ("axis", 2)),
            "Softmax 's' (it is not over all values of a row)");
        Failures.Are(Images().Named("s", "Softmax", "x", "y"), "Softmax 's' (it is not over all values of a row)");
    }

    [TestMethod]
    public void A_normalization_in_training_mode_is_noted()
    {
        var notes = new List<string>();
        byte[] file = Normalization(new OnnxFile(15).Input("x", -1, 3).Output("y"), ("training_mode", 1)).ToBytes();
        OnnxImport.Load(new MemoryStream(file), note: notes.Add);
        StringAssert.Contains(notes.Single(), "was written in training mode");
    }

    [TestMethod]
    public void Statistics_for_each_place_of_an_image_are_listed() => Failures.Are(
        new OnnxFile(7).Input("x", -1, 3, 2, 2).Output("y").Tensor("c", Positive(12), 3, 2, 2)
            .Named("b", "BatchNormalization", "x c c c c", "y", ("spatial", 0)),
        "BatchNormalization 'b' (spatial is 0");

    [TestMethod]
    public void Padding_of_other_forms_is_listed()
    {
        (string, object)[] window = [("kernel_shape", new[] { 3, 3 })];
        foreach (string mode in (string[])["reflect", "edge"])
        {
            Failures.Are(
                Images().Tensor("p", [0L, 0, 1, 1, 0, 0, 1, 1]).Named("p", "Pad", "x p", "a", ("mode", mode))
                    .Node("AveragePool", "a", "y", window),
                $"Pad 'p' (its mode is {mode})");
        }
        Failures.Are(
            Images().Tensor("p", [0L, 0, -1, 0, 0, 0, 0, 0]).Named("p", "Pad", "x p", "a")
                .Node("AveragePool", "a", "y", window),
            "Pad 'p' (it is not around images, or it takes something away)");
        Failures.Are(
            Images().Tensor("p", [0L, 1, 0, 0, 0, 0, 0, 0]).Named("p", "Pad", "x p", "a")
                .Node("AveragePool", "a", "y", window),
            "Pad 'p' (it is not around images, or it takes something away)");
    }

    [TestMethod]
    public void A_squeeze_without_axes_removes_all_dimensions_of_one_element() => Reference.Check(Images()
        .Node("GlobalAveragePool", "x", "m").Node("Squeeze", "m", "n").Tensor("w", Weights(6), 3, 2)
        .Node("MatMul", "n w", "y"));

    [TestMethod]
    public void Zeros_in_a_shape_may_be_sizes()
    {
        Reference.Check(Images(14).Tensor("s", [-1L, 168]).Node("Reshape", "x s", "y", ("allowzero", 1)));
        Failures.Are(
            Images(14).Tensor("s", [0L, 168]).Named("r", "Reshape", "x s", "y", ("allowzero", 1)),
            "Reshape 'r' (it does not keep a row of 168 values together)");
    }

    [TestMethod]
    public void Forms_that_mix_rows_or_see_with_gaps_are_listed()
    {
        Failures.Are(
            Rows().Tensor("w", Weights(30), 6, 5).Tensor("b", Weights(15), 3, 5).Named("g", "Gemm", "x w b", "y"),
            "Gemm 'g' (its bias differs from row to row)");
        Failures.Are(
            Images().Named("f", "Flatten", "x", "y", ("axis", 0)), "Flatten 'f' (it does not leave the batch alone)");
        Failures.Are(
            Images().Named(
                "p", "MaxPool", "x", "y", ("kernel_shape", new[] { 2, 2 }), ("dilations", new[] { 2, 1 })),
            "MaxPool 'p' (its window is dilated)");
        Failures.Are(
            Images().Tensor("w", Weights(3), 1, 3, 1, 1).Node("Conv", "x w", "m").Named("m", "Mul", "x m", "y"),
            "Mul 'm' (it multiplies values of different shapes)");
    }

    [TestMethod]
    public void Constants_of_other_shapes_than_a_channel_s_are_listed()
    {
        const string reason = "(its constant is not one number, and not one number for each channel)";
        Failures.Are(Images().Tensor("c", Weights(56), 8, 7).Named("a", "Add", "x c", "y"), $"Add 'a' {reason}");
        Failures.Are(Images().Tensor("c", Weights(5), 5).Named("a", "Add", "x c", "y"), $"Add 'a' {reason}");
        Failures.Are(
            Rows().Tensor("c", Weights(6), 1, 1, 6).Named("a", "Mul", "x c", "y"), $"Mul 'a' {reason}");
        Failures.Are(Rows().Tensor("c", Weights(3), 3, 1).Named("a", "Mul", "x c", "y"), $"Mul 'a' {reason}");
        Reference.Check(Images().Tensor("c", Weights(7), 7).Node("Add", "x c", "y"));
        Reference.Check(Images().Tensor("c", Weights(8), 1, 8, 1).Node("Mul", "x c", "y"));
    }

    [TestMethod]
    [DataRow("tf2onnx")]
    [DataRow("keras2onnx")]
    public void Files_of_Keras_s_exporters_have_Keras_s_preset(string producer)
    {
        OnnxFile file = Normalization(new OnnxFile(13, producer).Input("x", -1, 3).Output("y"), ("momentum", 0.95f));
        SavedNetwork saved = Reference.Check(file);
        Assert.AreEqual(NetworkPreset.Keras, saved.Network.Preset);
        Assert.AreEqual(
            (VarianceConvention.Population, 0.95),
            (((BatchNormalizationLayer)Layers(saved)[0]).Options.VarianceConvention,
                ((BatchNormalizationLayer)Layers(saved)[0]).Options.Momentum));
    }

    [TestMethod]
    public void Values_before_and_after_constants_of_every_form()
    {
        Reference.Check(Rows()
            .Node("Constant", "", "a", ("value_int", 3)).Node("Cast", "a", "b", ("to", 1)).Node("Mul", "x b", "c")
            .Node("Constant", "", "d", ("value_floats", new[] { 1f, 2, -3, 4, 0, 6 })).Node("Add", "c d", "y"));
        Reference.Check(Rows()
            .Node("Constant", "", "a", ("value_float", 2f)).Node("Mul", "x a", "b")
            .Node("Constant", "", "c", ("value", OnnxFile.TensorOf("", Weights(6), 6))).Node("Add", "b c", "d")
            .Node("Constant", "", "s", ("value_ints", new[] { -1, 6 })).Node("Reshape", "d s", "y"));
    }
}
