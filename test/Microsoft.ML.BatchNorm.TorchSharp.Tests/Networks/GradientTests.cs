using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>How gradients are taken.</summary>
[TestClass]
public class GradientTests
{
    [TestMethod]
    public void The_gradient_is_that_of_one_loss_whatever_was_computed_before()
    {
        using var scope = torch.NewDisposeScope();
        using ParameterVector parameters = Parameters();
        Tensor used = parameters.Trained[0].Tensor;
        for (int i = 0; i < 2; i++)
        {
            parameters.ComputeGradient(used.mul(used).sum());
            CollectionAssert.AreEqual(new[] { 2f, 4f, 0f }, parameters.Gradient.data<float>().ToArray());
        }
    }

    [TestMethod]
    public void A_failing_backward_pass_is_an_error_that_leaves_nothing_behind()
    {
        using var scope = torch.NewDisposeScope();
        using ParameterVector parameters = Parameters();
        Tensor x = parameters.Trained[0].Tensor;
        Tensor y = x.exp(), loss = y.sum().add(x.sum());
        // The gradient of exp is what it gave.
        y.add_(1);
        Assert.ThrowsExactly<ExternalException>(() => parameters.ComputeGradient(loss));
        parameters.ComputeGradient(x.mul(2).sum());
        CollectionAssert.AreEqual(new[] { 2f, 2f, 0f }, parameters.Gradient.data<float>().ToArray());
    }

    static ParameterVector Parameters() =>
        new([new("used/x", [2], [1, 2], isTrained: true), new("unused/x", [1], [3], isTrained: true)], torch.CPU);
}
