namespace Microsoft.ML.BatchNorm.TorchSharp.Training;

/// <summary>The gradients of a loss.</summary>
/// <remarks>
/// By <c>backward()</c>: an error of libtorch in TorchSharp's <c>autograd.grad</c>, such as a device without memory,
/// ends the process. TorchSharp before 0.102.6 has <c>grad</c> as a method, and no way back to a tensor without one.
/// </remarks>
static class Gradients
{
    /// <summary>Those of some leaves behind each other; inside a dispose scope.</summary>
    /// <param name="loss">What they are taken of, once.</param>
    /// <param name="leaves">Tensors that require gradients; zeros for those that the loss does not depend on.</param>
    public static Tensor Of(Tensor loss, Tensor[] leaves)
    {
        try
        {
            loss.backward();
            using IDisposable noGradient = torch.no_grad();
            // A TorchScript module may have parameters that it does not use.
            return torch.cat([.. leaves.Select(leaf => (Of(leaf) ?? torch.zeros_like(leaf)).reshape(-1))]);
        }
        finally
        {
            Array.ForEach(leaves, Forget);
        }
    }

#if GRADIENT_METHOD
    static Tensor? Of(Tensor leaf) => leaf.grad();

    static void Forget(Tensor leaf) => leaf.grad()?.zero_();
#else
    static Tensor? Of(Tensor leaf) => leaf.grad;

    static void Forget(Tensor leaf) => leaf.grad = null;
#endif
}
