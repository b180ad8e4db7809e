namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>Options to be saved.</summary>
static class StoredOptions
{
    /// <summary>Options in which nothing has its default.</summary>
    public static BatchNormalizationOptions Unusual { get; } = new()
    {
        Axis = 1,
        Momentum = 0.75,
        Epsilon = 1e-4,
        MovingStatistics = MovingStatistics.Exponential,
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

    /// <summary>What Renorm cannot go with.</summary>
    public static BatchNormalizationOptions Bare { get; } = BatchNormalizationOptions.Keras with
    {
        Axis = -1,
        Center = false,
        Scale = false,
        MovingStatistics = MovingStatistics.Population,
        VirtualBatchSize = 16,
    };
}
