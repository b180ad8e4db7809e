using Microsoft.ML.BatchNorm;

namespace Samples.Tests;

[TestClass]
public class TransferLearningTests
{
    static readonly SampleOutput output = SampleOutput.Of("TransferLearning");

    [TestMethod]
    public void The_head_alone_is_better_than_none_and_all_layers_are_better_than_the_head()
    {
        SampleOutput section = output.Section(2);
        double none = section.Number("no training of the head", 0);
        double head = section.Number("phase head, 100 epochs", 2), all = section.Number("phase all, 100 epochs", 2);
        Assert.IsTrue(none < 0.5 && head is > 0.8 and < 0.92 && all >= 0.95, $"{none}, {head}, {all}");
        StringAssert.Contains(section.Text, "The base's statistics have the same bits as in the file: yes.");
    }

    [TestMethod]
    public void The_pretrained_network_is_a_file_of_safetensors()
    {
        Network network = Network.Input(64).WithPreset(NetworkPreset.PyTorch)
            .Dense(128, useBias: false).BatchNormalization(name: "norm_1").ReLU()
            .Dense(64, useBias: false).BatchNormalization(name: "norm_2").ReLU().Dense(5, name: "digits");
        using FileStream file = File.OpenRead(output.PathOf(".safetensors"));
        Assert.AreEqual(5, network.LoadSafetensors(file).State.Paths.Count());
    }

    [TestMethod]
    public void The_page_has_both_phases()
    {
        string page = File.ReadAllText(output.PathOf(".html"));
        StringAssert.Contains(page, "From the digits 0 to 4 to the digits 5 to 9");
        StringAssert.Contains(page, "Trained in head");
        StringAssert.Contains(page, "Trained in all");
    }
}
