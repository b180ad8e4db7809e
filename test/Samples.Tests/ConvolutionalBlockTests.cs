using System.Globalization;
using System.Text.RegularExpressions;

namespace Samples.Tests;

[TestClass]
public class ConvolutionalBlockTests
{
    static readonly SampleOutput output = SampleOutput.Of("ConvolutionalBlock");

    [TestMethod]
    public void The_summary_has_both_blocks()
    {
        CollectionAssert.AreEqual(
            new[] { "(None, 32, 8, 8)", "288", "yes" }, output.Section(1).Row("conv_1 (Conv2D)"));
        CollectionAssert.AreEqual(
            new[] { "(None, 64, 4, 4)", "256", "yes" }, output.Section(1).Row("norm_2 (BatchNormalization)"));
        StringAssert.Contains(output.Section(1).Text, "Total params: 21,674");
    }

    [TestMethod]
    public void Training_tells_its_rows_and_their_speed_and_reaches_98_of_100_test_digits()
    {
        StringAssert.Matches(output.Section(2).Text, new(@"training: 21,555 rows in [0-9.]+ s, [0-9,]+ rows/s"));
        Assert.IsTrue(output.Section(2).Number("test digits", 0) >= 0.98);
    }

    [TestMethod]
    public void Folded_the_network_tells_the_same_digits()
    {
        Match match = Regex.Match(
            output.Section(3).Text,
            "Of outputs up to ([0-9.]+), none differs by more than ([0-9.e-]+); the same digits: yes");
        Assert.IsTrue(match.Success, output.Section(3).Text);
        double outputs = Number(match.Groups[1]), difference = Number(match.Groups[2]);
        Assert.IsTrue(difference <= 1e-5 * outputs, $"{difference} of {outputs}");
        Assert.IsTrue(output.Section(3).Number("folded", 0) > 0 && output.Section(3).Number("not folded", 0) > 0);
    }

    static double Number(Group group) => double.Parse(group.Value, CultureInfo.InvariantCulture);
}
