namespace Samples.Tests;

[TestClass]
public class TransferScenariosTests
{
    static readonly SampleOutput output = SampleOutput.Of("TransferScenarios");

    [TestMethod]
    public void A_frozen_layer_keeps_every_value_in_a_training_run()
    {
        SampleOutput section = output.Section(1);
        CollectionAssert.AreEqual(new[] { "0 of 128", "0 of 128" }, section.Row("Freeze")[2..]);
        Assert.AreEqual("0 of 128", section.Row("UpdateStatistics = false")[3]);
        Assert.AreNotEqual("0 of 128", section.Row("Unfreeze")[3]);
    }

    [TestMethod]
    public void The_layer_computes_what_the_formulas_give_by_hand()
    {
        SampleOutput section = output.Section(2);
        foreach (string row in new[] { "training, x = 6", "moving mean", "moving variance", "inference, x = 6" })
            Assert.AreEqual(section.Number(row, 0), section.Number(row, 1), 1e-5, row);
    }
}
