using Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;
using Microsoft.ML.BatchNorm.TorchSharp.Tests.Switches;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Runtime;

/// <summary>
/// Every tensor is made on the engine's device: the process's default device is one that has no values, where a tensor
/// that was made without a device can neither be read nor meet one that was not.
/// </summary>
[TestClass]
public class DefaultDeviceTests
{
    static IEnumerable<object[]> Cases =>
        from name in Trainings.Names
        from bytes in new[] { 2L << 30, 0 }
        from mixed in new[] { false, true }
        select new object[] { name, bytes, mixed };

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void A_training_is_the_same_whatever_the_default_device(string name, long bytesOnDevice, bool mixed)
    {
        var engine = new TorchEngine("cpu", new() { DataBytesOnDevice = bytesOnDevice, MixedPrecision = mixed });
        NetworkState expected = Trainings.Run(name, engine);
        Assert.AreEqual(expected, Elsewhere(() => Trainings.Run(name, engine)));
    }

    [TestMethod]
    public void A_fit_is_the_same_whatever_the_default_device()
    {
        BatchNormalizationOptions options =
            BatchNormalizationOptions.Keras with { VirtualBatchSize = 3, NonFinite = NonFinite.Ignore };
        BatchNormalizationState expected = Fit();
        Assert.AreEqual(expected, Elsewhere(Fit));

        BatchNormalizationState Fit()
        {
            using IStatisticsFit fit =
                new TorchEngine("cpu").StartFit(options, BatchNormalization.Initialize(options, 4));
            fit.Add(ChannelLayout.Features(10, 4), Sample.Floats(40, 1));
            return fit.Complete();
        }
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void Recomputed_statistics_of_a_module_stay_on_its_device(bool calls)
    {
        using var scope = torch.NewDisposeScope();
        var module = new Branches(4, count: 2, calls);
        Tensor batch = FreezeTests.Input(1);
        Tensor variance = module.Last.running_var!;
        module.RecomputeStatistics([batch], onePass: !calls);
        float[] expected = variance.data<float>().ToArray();
        variance.zero_();
        Assert.AreEqual(3, Elsewhere(() => module.RecomputeStatistics([batch], onePass: !calls)));
        CollectionAssert.AreEqual(expected, variance.data<float>().ToArray());
    }

    static T Elsewhere<T>(Func<T> run)
    {
        torch.Device before = torch.get_default_device();
        torch.set_default_device(torch.META);
        try
        {
            return run();
        }
        finally
        {
            torch.set_default_device(before);
        }
    }
}
