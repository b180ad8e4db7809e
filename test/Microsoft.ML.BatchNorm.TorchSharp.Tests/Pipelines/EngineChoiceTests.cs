
namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Pipelines;

/// <summary>
/// ML.NET's context asks for a GPU, and the ML.NET layer finds this engine beside it. Where there is no such device,
/// what it says comes through.
/// </summary>
[TestClass]
public class EngineChoiceTests
{
    /// <summary>More than any machine has.</summary>
    const int NoDevice = 64;

    [TestMethod]
    public void A_GPU_that_is_not_available_is_the_engine_s_own_error()
    {
        var context = new MLContext(1) { GpuDeviceId = NoDevice, FallbackToCpu = false };
        string reason =
            Assert.ThrowsExactly<InvalidOperationException>(() => new TorchEngine($"cuda:{NoDevice}")).Message;
        foreach (Action fit in new Action[]
        {
            () => context.Transforms.BatchNormalization("Features").Fit(Blobs.View(context)),
            () => Blobs.Multiclass(context).Fit(Blobs.View(context)),
        })
        {
            var error = Assert.ThrowsExactly<InvalidOperationException>(fit);
            StringAssert.Contains(error.Message, reason);
            StringAssert.Contains(error.Message, "FallbackToCpu");
        }
    }

    [TestMethod]
    public void With_FallbackToCpu_it_is_a_warning()
    {
        var context = new MLContext(1) { GpuDeviceId = NoDevice, FallbackToCpu = true };
        List<string> warnings = Warnings.Of(context);
        context.Transforms.BatchNormalization("Features").Fit(Blobs.View(context));
        Assert.AreEqual(1, warnings.Count);
        StringAssert.Contains(warnings[0], $"GPU {NoDevice}");
        Blobs.Multiclass(context).Fit(Blobs.View(context));
        Assert.AreEqual(2, warnings.Count);
    }

    [TestMethod]
    public void A_negative_number_is_a_GPU_that_is_not_available()
    {
        var context = new MLContext(1) { GpuDeviceId = -1, FallbackToCpu = true };
        List<string> warnings = Warnings.Of(context);
        context.Transforms.BatchNormalization("Features").Fit(Blobs.View(context));
        Assert.AreEqual(1, warnings.Count);
        context.FallbackToCpu = false;
        Assert.ThrowsExactly<InvalidOperationException>(
            () => context.Transforms.BatchNormalization("Features").Fit(Blobs.View(context)));
    }

    [TestMethod]
    [TestCategory("Gpu")]
    public void An_available_GPU_is_used()
    {
        Gpu.Need();
        var context = new MLContext(1) { GpuDeviceId = 0, FallbackToCpu = false };
        List<string> warnings = Warnings.Of(context);
        var model = Blobs.Multiclass(context).Fit(Blobs.View(context));
        Assert.IsTrue(
            context.MulticlassClassification.Evaluate(model.Transform(Blobs.View(context))).MicroAccuracy > 0.97);
        Assert.AreEqual(0, warnings.Count);
    }
}
