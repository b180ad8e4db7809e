using Microsoft.ML.BatchNorm.TorchSharp.Runtime;

namespace Microsoft.ML.BatchNorm.TorchSharp.Layers;

/// <summary>
/// Normalization with the moving statistics: <c>(x − center)·inverse + rest</c>. The mean is taken off before anything
/// is multiplied, and what a float of it lacks is in the rest, so that a large mean costs no digits.
/// </summary>
sealed class MovingNormalization : IDisposable
{
    readonly Tensor center, inverse, rest;

    /// <param name="mean">The moving mean, in double on the device.</param>
    /// <param name="variance">The moving variance.</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="shape">What the tensors are shaped to, for broadcasting over the input.</param>
    public MovingNormalization(Tensor mean, Tensor variance, double epsilon, long[] shape)
    {
        using var scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        Tensor deviation = variance.add(Scalars.Of(epsilon), Scalars.One).sqrt();
        Tensor exact = torch.where(deviation.gt(Scalars.Of(0)), deviation.reciprocal(), torch.zeros_like(deviation));
        Tensor nearest = mean.to(ScalarType.Float32);
        center = Kept(nearest, shape);
        inverse = Kept(exact, shape);
        rest = Kept(nearest.to(ScalarType.Float64).sub(mean).mul(exact), shape);
    }

    public Tensor Apply(Tensor x) => torch.addcmul(rest, x.sub(center), inverse, Scalars.One);

    public void Dispose()
    {
        center.Dispose();
        inverse.Dispose();
        rest.Dispose();
    }

    static Tensor Kept(Tensor values, long[] shape) => Tensors.Keep(values.to(ScalarType.Float32).reshape(shape));
}
