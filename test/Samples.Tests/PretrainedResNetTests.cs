namespace Samples.Tests;

[TestClass]
public class PretrainedResNetTests
{
    [TestMethod]
    public void It_runs_from_the_photographs_to_the_page()
    {
        // Too few photographs and epochs to learn much; what the sample shows takes half an hour.
        SampleOutput output = SampleOutput.Of("PretrainedResNet", "--per-kind", "2", "--epochs", "1", "--test", "20");
        foreach (string way in new[] { "head alone", "KeepFrozen", "KeepStatistics", "Train" })
            Assert.IsTrue(output.Section(1).Number(way, 0) is >= 0 and <= 1, way);
        string page = File.ReadAllText(output.PathOf(".html"));
        StringAssert.Contains(page, "ResNet-18 on photographs of digits");
        StringAssert.Contains(page, "BatchNormalization251");
    }
}
