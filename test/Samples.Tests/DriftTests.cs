namespace Samples.Tests;

[TestClass]
public class DriftTests
{
    static readonly SampleOutput output = SampleOutput.Of("Drift");

    [TestMethod]
    public void Held_out_digits_have_not_drifted_and_the_exposed_ones_have()
    {
        StringAssert.Contains(output.Section(1).Text, "Drift at the 1 % level: no, in 0 of 64 pixels.");
        StringAssert.Contains(output.Section(2).Text, "Drift at the 1 % level: yes, in 63 of 64 pixels.");
    }

    [TestMethod]
    public void The_page_is_that_of_the_exposed_digits()
    {
        string page = File.ReadAllText(output.PathOf(".html"));
        StringAssert.Contains(page, "<h1>Digits under another exposure</h1>");
    }

    [TestMethod]
    public void A_pass_over_the_exposed_digits_alone_warns() =>
        Assert.AreEqual(1, output.Section(3).Text.Split("warning: ").Length - 1);
}
