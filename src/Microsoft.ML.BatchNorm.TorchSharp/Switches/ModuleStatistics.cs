using Microsoft.ML.BatchNorm.TorchSharp.Runtime;

namespace Microsoft.ML.BatchNorm.TorchSharp.Switches;

/// <summary>The mean and the sample variance of one batch by channel, as libtorch forms them.</summary>
readonly record struct BatchMoments(double[] Mean, double[] Variance);

/// <summary>
/// What a batch normalization says itself of its input, where it is run by <c>forward()</c> and no hook sees it: in
/// training mode it moves its statistics by a share of the batch's mean and sample variance.
/// </summary>
/// <remarks>What the share is, TorchSharp's modules do not all tell.</remarks>
sealed class ModuleStatistics(AnyBatchNorm norm)
{
    /// <summary>So large that a batch's mean does not count beside it.</summary>
    const double Far = 1L << 62;

    double share;

    /// <summary>Whether a forward pass runs the layer; finds the share of a batch on the way.</summary>
    /// <exception cref="InvalidOperationException">The momentum is 0.</exception>
    public bool IsReached(Action run)
    {
        using var scope = torch.NewDisposeScope();
        Begin();
        norm.RunningMean!.fill_(Far);
        run();
        norm.Module.train(false);
        if (Runs == 0)
            return false;
        share = Shortest(1 - Tensors.Download<double>(norm.RunningMean!)[0] / Far);
        return share > 0
            ? true
            : throw new InvalidOperationException(
                $"'{norm.Name}' has a momentum of 0 and is run by forward(), so that its input is not seen; run it by "
                + "call().");
    }

    /// <summary>Lets the next forward pass say what its input is.</summary>
    public void Begin()
    {
        using var scope = torch.NewDisposeScope();
        norm.RunningMean!.zero_();
        norm.RunningVariance!.zero_();
        norm.BatchesTracked!.zero_();
        norm.Module.train(true);
    }

    /// <summary>What went in since <see cref="Begin"/>.</summary>
    /// <exception cref="InvalidOperationException">The layer was not run once.</exception>
    /// <exception cref="InvalidDataException">The input is not finite.</exception>
    public BatchMoments End()
    {
        norm.Module.train(false);
        if (Runs != 1)
            throw new InvalidOperationException(
                $"'{norm.Name}' is run by forward() {Runs} times in a batch; run it by call(), where each input is "
                + "seen.");
        BatchMoments moments = new(InFull(norm.RunningMean!), InFull(norm.RunningVariance!));
        return Array.TrueForAll(moments.Mean, double.IsFinite) && Array.TrueForAll(moments.Variance, double.IsFinite)
            ? moments
            : throw new InvalidDataException($"The input of '{norm.Name}' is not finite.");
    }

    double Runs => Tensors.Download<double>(norm.BatchesTracked!)[0];

    double[] InFull(Tensor moved) => Array.ConvertAll(Tensors.Download<double>(moved), value => value / share);

    /// <summary>
    /// The number with the fewest digits that a float's rounding leaves open, since a momentum is typed.
    /// </summary>
    static double Shortest(double rough)
    {
        const double Open = 1.0 / (1 << 24);
        return Enumerable.Range(0, 8).Select(digits => Math.Round(rough, digits))
            .FirstOrDefault(value => Math.Abs(value - rough) <= Open, rough);
    }
}
