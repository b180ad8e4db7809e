using Microsoft.ML.BatchNorm.Tests.Persistence;

namespace Microsoft.ML.BatchNorm.Tests.Networks;

[TestClass]
public class LimitTests
{
    static IEnumerable<object[]> TooLarge =>
    [
        [() => Network.Input(1, 5, 5).Conv2D(1, 1, padding: 20_000), "Layer 'conv2d'", "of [1, 40005, 40005]",
            "6,401,600,100 bytes", "536,870,912"],
        [() => Network.Input(1, 5, 5).Conv2D(1, 1, stride: 20_000, padding: 20_000), "'conv2d'", "padded input of"],
        [() => Network.Input(1, 5, 5).Conv2D(10_000_000, 1, name: "c"), "'c'", "output of [10000000, 5, 5]"],
        [() => Network.Input(1, 5, 5).MaxPool2D(40_000, padding: 20_000), "'max_pooling2d'", "padded input of"],
        [() => Network.Input(1, 2).Append(Network.Input(1, 2).Flatten().Dense(1 << 28), "base"), "'dense'",
            "output of [268435456]", "1,073,741,824 bytes"],
        [() => Network.Input(1 << 28), "The network's input of [268435456] takes 1,073,741,824 bytes", "536,870,912"],
        [() => Network.Of(new(4), new TorchScriptLayer([1], new(4), new(1 << 28))), "output of [268435456]"],
    ];

    [TestMethod]
    [DynamicData(nameof(TooLarge))]
    public void A_row_that_takes_too_much_memory_is_an_error_with_the_layer_and_the_bytes(
        Func<Network> create, params string[] fragments)
    {
        string message = Assert.ThrowsExactly<ArgumentException>(() => create()).Message;
        foreach (string fragment in fragments)
            StringAssert.Contains(message, fragment);
        States.IsSentence(message);
    }

    [TestMethod]
    public void Large_images_are_within_the_limit()
    {
        Network network = Network.Input(3, 1448, 1448).Conv2D(64, 3, padding: 1).BatchNormalization().ReLU();
        Assert.AreEqual("[64, 1448, 1448]", network.OutputShape.ToString());
    }

    [TestMethod]
    public void A_file_of_a_hundred_bytes_cannot_make_a_prediction_take_gigabytes()
    {
        Network network = Network.Input(1, 5, 5).Conv2D(1, 1, padding: 4_000);
        string definition = Definition.ToText(network).Replace("4000", "20000", StringComparison.Ordinal);
        States.IsInvalid(
            () => Definition.Parse<Network>(definition),
            "The definition is wrong: Layer 'conv2d'", "6,401,600,100 bytes");
    }

    [TestMethod]
    public void As_many_layers_as_a_network_may_have_are_named_in_linear_time()
    {
        ActivationLayer[] layers = [.. Enumerable.Repeat(new ActivationLayer(Activation.ReLU), Network.MaxNodes)];
        long before = GC.GetAllocatedBytesForCurrentThread();
        Network network = Network.Of(new TensorShape(2), layers);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.AreEqual("re_lu_19999", network.Nodes[^1].Path);
        // A name that is tried takes some dozen bytes: two hundred million of them would take gigabytes.
        Assert.IsTrue(allocated < 50_000_000, $"{allocated} bytes were allocated");
    }
}
