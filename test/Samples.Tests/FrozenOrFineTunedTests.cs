namespace Samples.Tests;

[TestClass]
public class FrozenOrFineTunedTests
{
    const string Frozen = "frozen, served as it is", Statistics = "statistics fine-tuned",
        All = "gamma, beta, statistics", Anew = "trained anew";

    static readonly SampleOutput output = SampleOutput.Of("FrozenOrFineTuned");

    [TestMethod]
    public void Statistics_alone_bring_back_what_less_contrast_takes_and_are_better_than_training_anew()
    {
        SampleOutput section = output.Section(1);
        Assert.IsTrue(section.Number(Frozen, 1) < 0.65);
        Assert.IsTrue(section.Number(Statistics, 1) >= 0.98);
        Assert.IsTrue(section.Number(All, 1) >= 0.98);
        Assert.IsTrue(section.Number(Anew, 1) < section.Number(Statistics, 1) - 0.02);
    }

    [TestMethod]
    public void Statistics_bring_back_a_part_of_an_overexposure_and_gamma_and_beta_lower_the_loss_further()
    {
        SampleOutput section = output.Section(2);
        Assert.IsTrue(section.Number(Frozen, 1) < section.Number(Statistics, 1));
        Assert.IsTrue(section.Number(Statistics, 1) < 0.95);
        Assert.IsTrue(section.Number(All, 2) < 0.9 * section.Number(Statistics, 2));
    }

    [TestMethod]
    public void On_a_negative_only_training_anew_helps()
    {
        SampleOutput section = output.Section(3);
        foreach (string row in new[] { Frozen, Statistics, All })
            Assert.IsTrue(section.Number(row, 1) < 0.1, row);
        Assert.IsTrue(section.Number(Anew, 1) > 0.9);
    }

    [TestMethod]
    [DataRow(Frozen, "0 of 5")]
    [DataRow(Statistics, "2 of 5")]
    [DataRow(All, "2 of 5")]
    [DataRow(Anew, "5 of 5")]
    public void The_layers_that_change_are_those_that_are_not_frozen(string row, string changed)
    {
        for (int number = 1; number <= 3; number++)
            Assert.AreEqual(changed, output.Section(number).Row(row)[0]);
    }

    [TestMethod]
    public void A_frozen_network_is_the_same_bytes_after_calls_in_training_mode() =>
        StringAssert.Matches(output.Section(4).Text, new(@"has the same [0-9,]+ bytes: yes\.$"));
}
