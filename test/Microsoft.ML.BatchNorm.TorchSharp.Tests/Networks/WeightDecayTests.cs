namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>Which parameters weight decay applies to.</summary>
[TestClass]
public class WeightDecayTests
{
    [TestMethod]
    [DynamicData(nameof(WeightDecay.Optimizers), typeof(WeightDecay))]
    public void Without_gradients_only_the_parameters_that_decay_change(Optimizer optimizer) =>
        WeightDecay.AssertDecays(new TorchEngine("cpu"), optimizer);
}
