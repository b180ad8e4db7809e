namespace Microsoft.ML.BatchNorm.Import.Tests;

/// <summary>Functions of single values, as operators and as the nodes that exporters write for them.</summary>
[TestClass]
public class FunctionTests
{
    static OnnxFile Rows(int opSet = 13) => new OnnxFile(opSet).Input("x", -1, 6).Output("y");

    static void Is(Activation function, OnnxFile file)
    {
        SavedNetwork saved = Reference.Check(file);
        Assert.AreEqual(
            function.ToString(), string.Join(' ', saved.Network.Nodes.Select(node => node.Layer.Kind)));
    }

    [TestMethod]
    [DataRow("Relu", 7, Activation.ReLU)]
    [DataRow("Relu", 14, Activation.ReLU)]
    [DataRow("Sigmoid", 7, Activation.Sigmoid)]
    [DataRow("Tanh", 7, Activation.Tanh)]
    [DataRow("LeakyRelu", 7, Activation.LeakyReLU)]
    [DataRow("LeakyRelu", 16, Activation.LeakyReLU)]
    [DataRow("HardSwish", 14, Activation.HardSwish)]
    [DataRow("Gelu", 20, Activation.Gelu)]
    public void An_operator(string type, int opSet, Activation function) =>
        Is(function, Rows(opSet).Node(type, "x", "y"));

    [TestMethod]
    public void The_slope_of_a_LeakyReLU_is_the_file_s()
    {
        SavedNetwork saved = Reference.Check(Rows().Node("LeakyRelu", "x", "y", ("alpha", 0.2f)));
        Assert.AreEqual(0.2, ((ActivationLayer)saved.Network.Nodes.Single().Layer).NegativeSlope);
    }

    [TestMethod]
    public void A_hard_sigmoid_of_other_slopes_is_one_of_a_scaled_value()
    {
        Is(Activation.HardSigmoid, Rows().Node("HardSigmoid", "x", "y", ("alpha", 1f / 6)));
        SavedNetwork saved = Reference.Check(Rows().Node("HardSigmoid", "x", "y"));
        Assert.AreEqual(
            "BatchNormalization HardSigmoid", string.Join(' ', saved.Network.Nodes.Select(node => node.Layer.Kind)));
        Reference.Check(Rows().Node("HardSigmoid", "x", "y", ("alpha", 0.3f), ("beta", 0.1f)));
    }

    [TestMethod]
    public void Bounds_as_attributes_and_as_inputs()
    {
        foreach (int opSet in (int[])[7, 10])
        {
            Is(Activation.ReLU6, Rows(opSet).Node("Clip", "x", "y", ("min", 0f), ("max", 6f)));
            Is(Activation.ReLU, Rows(opSet).Node("Clip", "x", "y", ("min", 0f)));
        }
        foreach (int opSet in (int[])[11, 13])
        {
            OnnxFile Bounds() => Rows(opSet).Initializer(OnnxFile.TensorOf("zero", [0f]))
                .Initializer(OnnxFile.TensorOf("six", [6f])).Initializer(OnnxFile.TensorOf("one", [1f]));
            Is(Activation.ReLU6, Bounds().Node("Clip", "x zero six", "y"));
            Is(Activation.ReLU, Bounds().Node("Clip", "x zero", "y"));
            Is(Activation.ReLU6, Bounds().Node("Relu", "x", "a").Node("Clip", "a - six", "y"));
            Reference.Check(Bounds().Node("Clip", "x zero one", "y"));
            Failures.Are(
                Bounds().Named("both", "Clip", "x one six", "y"), "Clip 'both' (its bounds are 1 and 6");
        }
        Is(Activation.ReLU6, Rows().Tensor("zero", [0f], 1).Tensor("six", [6f], 1).Node("Max", "x zero", "a")
            .Node("Min", "six a", "y"));
    }

    static OnnxFile Numbers() => Rows().Tensor("root", [MathF.Sqrt(2)]).Tensor("half_root", [MathF.Sqrt(0.5f)])
        .Tensor("one", [1f]).Tensor("half", [0.5f]).Tensor("three", [3f]).Tensor("six", [6f])
        .Tensor("sixth", [1f / 6]).Initializer(OnnxFile.TensorOf("0", [0f])).Initializer(OnnxFile.TensorOf("6", [6f]))
        .Initializer(OnnxFile.TensorOf("1", [1f]));

    [TestMethod]
    public void A_Gelu_in_parts()
    {
        // x·(1 + erf(x/√2))·0.5, as PyTorch's exporter writes it.
        Is(Activation.Gelu, Numbers().Node("Div", "x root", "a").Node("Erf", "a", "b").Node("Add", "b one", "c")
            .Node("Mul", "x c", "d").Node("Mul", "d half", "y"));
        // 0.5·x·(1 + erf(x/√2)) and x·(0.5 + 0.5·erf(x/√2)), as others do.
        Is(Activation.Gelu, Numbers().Node("Mul", "x half", "h").Node("Mul", "x half_root", "a").Node("Erf", "a", "b")
            .Node("Add", "one b", "c").Node("Mul", "c h", "y"));
        Is(Activation.Gelu, Numbers().Node("Mul", "half_root x", "a").Node("Erf", "a", "b").Node("Mul", "half b", "c")
            .Node("Add", "c half", "d").Node("Mul", "d x", "y"));
        // Twice a Gelu, and the Gelu of half a value.
        Reference.Check(Numbers().Node("Div", "x root", "a").Node("Erf", "a", "b").Node("Add", "b one", "c")
            .Node("Mul", "x c", "y"));
        Reference.Check(Numbers().Node("Mul", "x half", "z").Node("Div", "z root", "a").Node("Erf", "a", "b")
            .Node("Add", "b one", "c").Node("Mul", "z c", "d").Node("Mul", "d half", "y"));
        Failures.Are(Numbers().Named("e", "Erf", "x", "y"), "Erf 'e'");
    }

    [TestMethod]
    public void A_SiLU_in_parts()
    {
        Is(Activation.SiLU, Rows().Node("Sigmoid", "x", "a").Node("Mul", "x a", "y"));
        Is(Activation.SiLU, Rows().Node("Sigmoid", "x", "a").Node("Mul", "a x", "y"));
    }

    [TestMethod]
    public void A_HardSwish_in_parts()
    {
        // x·relu6(x + 3)/6 in three orders.
        Is(Activation.HardSwish, Numbers().Node("Add", "x three", "a").Node("Clip", "a 0 6", "b")
            .Node("Mul", "x b", "c").Node("Div", "c six", "y"));
        Is(Activation.HardSwish, Numbers().Node("Add", "x three", "a").Node("Clip", "a 0 6", "b")
            .Node("Div", "b six", "c").Node("Mul", "x c", "y"));
        Is(Activation.HardSwish, Numbers().Node("Add", "three x", "a").Node("Clip", "a 0 6", "b")
            .Node("Mul", "b sixth", "c").Node("Mul", "c x", "y"));
        Is(Activation.HardSwish, Rows().Node("HardSigmoid", "x", "a", ("alpha", 1f / 6)).Node("Mul", "x a", "y"));
        Is(Activation.HardSwish, Numbers().Node("Mul", "x sixth", "a").Node("Add", "a half", "b")
            .Node("Clip", "b 0 1", "c").Node("Mul", "x c", "y"));
    }

    [TestMethod]
    public void A_hard_sigmoid_in_parts() => Is(
        Activation.HardSigmoid,
        Numbers().Node("Add", "x three", "a").Node("Clip", "a 0 6", "b").Node("Div", "b six", "y"));

    [TestMethod]
    public void A_Swish_of_the_newest_operators() => Assert.AreEqual(
        "SiLU", Reference.Load(Rows(24).Node("Swish", "x", "y").ToBytes()).Network.Nodes.Single().Layer.Kind);

    [TestMethod]
    public void Functions_with_other_numbers_than_the_layer_s_are_listed()
    {
        Failures.Are(
            Rows(20).Named("g", "Gelu", "x", "y", ("approximate", "tanh")),
            "Gelu 'g' (it is approximate, and the layer is exact)");
        Failures.Are(Rows(24).Named("s", "Swish", "x", "y", ("alpha", 2f)), "Swish 's' (alpha is not 1)");
    }

    [TestMethod]
    public void Functions_that_no_layer_computes_are_listed() => Failures.Are(
        Rows(20).Named("a", "Elu", "x", "1").Named("c", "Softplus", "1", "3")
            .Named("d", "Softmax", "x", "4").Node("Relu", "4", "5")
            .Node("Add", "3 5", "y"),
        "Elu 'a'", "Softplus 'c'", "Softmax 'd'");
}
