using System.Runtime.InteropServices;
using Microsoft.ML.BatchNorm.TorchSharp.Training;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>How gradients are taken, of which TorchSharp has several ways.</summary>
[TestClass]
public class GradientTests
{
    [TestMethod]
    public void Gradients_are_those_of_one_loss_whatever_was_before()
    {
        using var scope = torch.NewDisposeScope();
        Tensor used = torch.tensor([1f, 2f]).requires_grad_(), unused = torch.tensor([3f]).requires_grad_();
        for (int i = 0; i < 2; i++)
        {
            Tensor gradient = Gradients.Of(used.mul(used).sum(), [used, unused]);
            CollectionAssert.AreEqual(new[] { 2f, 4f, 0f }, gradient.data<float>().ToArray());
        }
    }

    [TestMethod]
    public void What_libtorch_cannot_do_backward_is_an_error_that_leaves_nothing()
    {
        using var scope = torch.NewDisposeScope();
        Tensor x = torch.tensor([1f, 2f]).requires_grad_();
        Tensor y = x.exp(), loss = y.sum().add(x.sum());
        // The gradient of exp is what it gave.
        y.add_(1);
        Assert.ThrowsExactly<ExternalException>(() => Gradients.Of(loss, [x]));
        Assert.IsNull(x.grad);
        Assert.AreEqual(2f, Gradients.Of(x.mul(2).sum(), [x]).data<float>()[0]);
    }
}
