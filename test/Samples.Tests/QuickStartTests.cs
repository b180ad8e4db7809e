namespace Samples.Tests;

[TestClass]
public class QuickStartTests
{
    [TestMethod]
    public void A_loaded_model_is_as_good_as_the_one_that_was_saved()
    {
        string text = SampleOutput.Of("QuickStart").Text;
        StringAssert.Matches(text, new("fitted on 1,000 digits accuracy 9[0-9.]+ ?%, log-loss [0-9.]+ "));
        StringAssert.Matches(
            text,
            new("fine-tuned with 397 more (accuracy [0-9.]+ ?%, log-loss [0-9.]+) saved and loaded \\1 exported"));
        StringAssert.Matches(text, new("exported to ONNX [0-9,]+ bytes"));
    }
}
