namespace Samples.Tests;

[TestClass]
public class TenSeedsTests
{
    static readonly SampleOutput output = SampleOutput.Of("TenSeeds");

    [TestMethod]
    public void Ten_digits_are_told_apart_as_the_readme_says() =>
        CollectionAssert.AreEqual(new[] { "98.9 %", "0.3 %" }, output.Section(1).Row("ten digits")[..2]);

    [TestMethod]
    public void Every_way_to_fine_tune_is_better_than_the_head_alone()
    {
        SampleOutput section = output.Section(2);
        foreach (string way in new[] { "Train", "KeepStatistics", "KeepFrozen" })
            Assert.IsTrue(section.Number(way, 0) > section.Number("head", 0) + 0.05, way);
        StringAssert.Contains(section.Text, "seed 10: head ");
    }
}
