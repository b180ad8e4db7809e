using System.Globalization;
using System.Text.RegularExpressions;

namespace Samples.Tests;

[TestClass]
public class QuickStartTests
{
    static readonly string text = SampleOutput.Of("QuickStart").Text;

    [TestMethod]
    public void On_measurements_of_many_scales_the_layer_beats_no_normalization_and_the_default_normalizer()
    {
        double layer = Accuracy("BatchNormalization");
        Assert.IsTrue(layer > Accuracy("without normalization") + 0.03);
        Assert.IsTrue(layer > Accuracy("NormalizeMeanVariance"));
        Assert.IsTrue(layer > 0.97);
    }

    [TestMethod]
    public void A_loaded_model_is_as_good_as_the_one_that_was_saved()
    {
        StringAssert.Matches(text, new("fitted on 1,000 digits accuracy 9[0-9.]+ ?%, log-loss [0-9.]+ "));
        StringAssert.Matches(
            text,
            new("fine-tuned with 397 more (accuracy [0-9.]+ ?%, log-loss [0-9.]+) saved and loaded \\1 exported"));
        StringAssert.Matches(text, new("exported to ONNX [0-9,]+ bytes"));
    }

    [TestMethod]
    public void It_ends_with_samples_that_exist()
    {
        string[] next =
            [.. Regex.Matches(text, "--project (src/Samples/[A-Za-z]+)").Select(match => match.Groups[1].Value)];
        Assert.IsTrue(next.Length >= 3);
        foreach (string folder in next)
        {
            string name = Path.GetFileName(folder);
            Assert.IsTrue(File.Exists(Path.Combine(DotNetBuild.Root, folder, $"{name}.csproj")), folder);
        }
    }

    static double Accuracy(string name) => double.Parse(
        Regex.Match(text, $"{name} ([0-9.]+) ?%").Groups[1].Value, CultureInfo.InvariantCulture);
}
