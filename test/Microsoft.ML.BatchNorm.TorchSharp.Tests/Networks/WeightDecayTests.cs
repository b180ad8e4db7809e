namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>Which parameters weight decay applies to.</summary>
[TestClass]
public class WeightDecayTests
{
    [TestMethod]
    [DynamicData(nameof(WeightDecay.Optimizers), typeof(WeightDecay))]
    public void Without_gradients_it_alone_changes_what_it_is_told_to(Optimizer optimizer) =>
        WeightDecay.AssertDecays(new TorchEngine("cpu"), optimizer);
}
