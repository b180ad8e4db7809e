namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// What the parts of a state are called by one family. Batches is null where none are counted, Renorm (moving
/// deviation, mean, deviation) empty where there is no renormalization. Population is this library's own.
/// </summary>
sealed record StateNames(
    string Family, string Gamma, string Beta, string Mean, string Variance, string? Batches, string[] Renorm,
    string Population = "population")
{
    public static StateNames Own { get; } = new(
        "this library", "gamma", "beta", "movingMean", "movingVariance", "batchesSeen",
        ["renorm.movingStandardDeviation", "renorm.mean", "renorm.standardDeviation"]);

    public static StateNames PyTorch { get; } = new(
        "PyTorch", "weight", "bias", "running_mean", "running_var", "num_batches_tracked", []);

    public static StateNames Keras { get; } = new(
        "Keras", "gamma", "beta", "moving_mean", "moving_variance", null,
        ["moving_stddev", "renorm_mean", "renorm_stddev"]);

    public static StateNames Of(TensorNaming naming) => naming == TensorNaming.Keras ? Keras : PyTorch;

    public StateNames Under(string prefix) => new(
        Family, prefix + Gamma, prefix + Beta, prefix + Mean, prefix + Variance,
        Batches is null ? null : prefix + Batches, Array.ConvertAll(Renorm, name => prefix + name),
        prefix + Population);
}
