using Microsoft.ML.BatchNorm.TorchSharp.Runtime;

namespace Microsoft.ML.BatchNorm.TorchSharp.Switches;

/// <summary>The mean and the sample variance of one batch by channel, as libtorch forms them.</summary>
readonly record struct BatchMoments(double[] Mean, double[] Variance);

/// <summary>
/// What a batch normalization says itself of its input, where it is run by <c>forward()</c> and no hook sees it: in
/// training mode with a momentum of 1, its moving statistics are those of the last batch.
/// </summary>
sealed class ModuleStatistics(AnyBatchNorm norm)
{
    /// <summary>Whether a forward pass runs the layer.</summary>
    public bool IsReached(Action run)
    {
        Begin();
        run();
        norm.Module.train(false);
        return Runs > 0;
    }

    /// <summary>Lets the next forward pass say what its input is.</summary>
    public void Begin()
    {
        using var scope = torch.NewDisposeScope();
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
        BatchMoments moments = new(
            Tensors.Download<double>(norm.RunningMean!), Tensors.Download<double>(norm.RunningVariance!));
        return Array.TrueForAll(moments.Mean, double.IsFinite) && Array.TrueForAll(moments.Variance, double.IsFinite)
            ? moments
            : throw new InvalidDataException($"The input of '{norm.Name}' is not finite.");
    }

    double Runs => Tensors.Download<double>(norm.BatchesTracked!)[0];
}
