namespace Samples.Tests;

/// <summary>The sample from its own folder, which has libtorch beside it.</summary>
[TestClass]
public class GpuTrainingTests
{
    static readonly SampleOutput output = SampleOutput.OfProgram(Path.Combine(
        DotNetBuild.Root, "src", "Samples", "GpuTraining", "bin", DotNetBuild.Configuration, "net10.0",
        "GpuTraining.dll"));

    [TestMethod]
    [DataRow("the core's")]
    [DataRow("TorchSharp")]
    public void Both_engines_learn_the_digits(string engine)
    {
        SampleOutput training = output.Section(2);
        Assert.IsGreaterThan(0.96, training.Number(engine, 2));
        Assert.IsLessThan(0.15, training.Number(engine, 3));
    }

    [TestMethod]
    public void Without_a_GPU_it_says_why_and_trains_on_the_CPU()
    {
        string text = output.Section(1).Text;
        Assert.AreEqual(
            output.Section(2).Row("TorchSharp")[0] != "cuda", text.Contains("No CUDA device: ", StringComparison.Ordinal),
            text);
    }

    [TestMethod]
    public void A_model_that_was_loaded_gives_the_scores_of_the_one_that_was_saved() =>
        StringAssert.Contains(output.Section(3).Text, "The same scores to the last bit: yes.");
}
