namespace Samples.Tests;

[TestClass]
public class DigitsPipelineTests
{
    static readonly SampleOutput output = SampleOutput.Of("DigitsPipeline");

    [TestMethod]
    public void A_classifier_behind_the_layer_tells_the_digits_apart() =>
        Assert.IsTrue(output.Section(1).Number("BatchNormalization", 0) > 0.95);

    [TestMethod]
    public void Frozen_the_layer_keeps_every_bit_and_fine_tuned_it_serves_the_new_exposure()
    {
        SampleOutput shift = output.Section(2);
        Assert.AreEqual("same", shift.Row("Freeze, FineTune")[0]);
        Assert.IsTrue(shift.Number("Freeze, FineTune", 3) < 0.5);
        foreach (string tuned in (string[])["Unfreeze, FineTune", "Fit(rows, previous)*", "new Fit(rows)"])
        {
            Assert.AreEqual("moved", shift.Row(tuned)[0]);
            Assert.IsTrue(shift.Number(tuned, 3) > 0.9, tuned);
        }
    }

    [TestMethod]
    public void A_second_process_predicts_every_bit_of_the_scores() =>
        CollectionAssert.AreEqual((string[])["360", "360"], output.Section(3).Row("the second"));

    [TestMethod]
    public void The_exported_graph_has_the_layer_s_operator() =>
        StringAssert.Contains(output.Section(4).Text, "BatchNormalization, LinearClassifier");
}
