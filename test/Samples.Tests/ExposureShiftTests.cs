namespace Samples.Tests;

[TestClass]
public class ExposureShiftTests
{
    static readonly SampleOutput output = SampleOutput.Of("ExposureShift");

    [TestMethod]
    public void Fine_tuned_statistics_bring_back_what_frozen_ones_lose()
    {
        SampleOutput section = output.Section(3);
        Assert.IsTrue(section.Number("new, frozen", 1) < 0.5);
        Assert.IsTrue(section.Number("new, Population of 1 epoch", 1) > 0.85);
    }

    [TestMethod]
    public void The_fit_tells_its_rows_and_their_speed() =>
        StringAssert.Matches(output.Section(1).Text, new(@"20 epochs: 28,740 rows in [0-9.]+ s, [0-9,]+ rows/s"));

    [TestMethod]
    public void A_frozen_layer_keeps_every_bit_and_a_trainable_one_does_not()
    {
        CollectionAssert.AreEqual(new[] { "0", "0 of 256", "yes" }, output.Section(4).Row("Trainable = false"));
        Assert.AreEqual("no", output.Section(4).Row("Trainable = true")[2]);
    }
}
