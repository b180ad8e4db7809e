using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Transformer;

/// <summary>Transformers around states that were made by hand, from X to Y.</summary>
static class Layers
{
    public static BatchNormalizationColumn Column(
        int channels, BatchNormalizationOptions? options = null, string output = "Y", string input = "X", int seed = 5)
    {
        options ??= BatchNormalizationOptions.Keras;
        return new BatchNormalizationColumn(output, input, options, Sample.State(options, channels, seed));
    }

    public static BatchNormalizationTransformer Transformer(int channels, BatchNormalizationOptions? options = null) =>
        new(View.ML, Column(channels, options));

    public static BatchNormalizationTransformer Transformer(params BatchNormalizationColumn[] columns) =>
        new(View.ML, columns);

    /// <summary>Options in which nothing has its default.</summary>
    public static BatchNormalizationOptions Unusual { get; } = new()
    {
        Axis = 1,
        Momentum = 0.75,
        Epsilon = 1e-4,
        Trainable = false,
        UpdateStatistics = false,
        TrainAffine = false,
        VarianceConvention = VarianceConvention.Sample,
        NonFinite = NonFinite.Ignore,
        Renorm = new RenormOptions { RMin = 0.25, RMax = 4, DMax = 5, Momentum = 0.875 },
        GammaInitializer = Initializer.Uniform(-1, 2, seed: 7),
        BetaInitializer = Initializer.Normal(0.5, 2, seed: 8),
        MovingMeanInitializer = Initializer.Constant(1.5),
        MovingVarianceInitializer = Initializer.Constant(2.5),
        GammaRegularizer = Regularizer.L1L2(0.1, 0.2),
        BetaRegularizer = Regularizer.L2(0.3),
        GammaConstraint = Constraint.MinMaxNorm(0.5, 2, 0.25),
        BetaConstraint = Constraint.NonNegative,
    };

    /// <summary>Settings in which nothing that is stored has its default.</summary>
    public static FitSettings Settings { get; } = new()
    {
        BatchSize = 24,
        Epochs = 3,
        Shuffle = true,
        Seed = -77,
        MaskColumnName = "Counts",
        TrainDownstreamOn = DownstreamStatistics.Batch,
        WarnOnDrift = true,
    };

    /// <summary>What Renorm cannot go with.</summary>
    public static BatchNormalizationOptions Bare { get; } = new()
    {
        Center = false,
        Scale = false,
        MovingStatistics = MovingStatistics.Population,
        VirtualBatchSize = 16,
    };
}
