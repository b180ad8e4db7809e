using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Transformer;

/// <summary>Transformers around states that were made by hand, from X to Y.</summary>
static class Layers
{
    public static BatchNormalizationColumn Column(
        int channels, BatchNormalizationOptions? options = null, string output = "Y", string input = "X", int seed = 5)
    {
        options ??= BatchNormalizationOptions.Keras;
        return Column(options, Sample.State(options, channels, seed), output, input);
    }

    /// <summary>A column over its last axis where the options say none.</summary>
    public static BatchNormalizationColumn Column(
        BatchNormalizationOptions options, BatchNormalizationState state, string output = "Y", string input = "X") =>
        new(output, input, options with { Axis = options.Axis ?? -1 }, state);

    /// <summary>The same column, fitted to an input.</summary>
    public static BatchNormalizationColumn FittedTo(this BatchNormalizationColumn column, FittedInput input) =>
        new(column.OutputColumnName, column.InputColumnName, column.Options, column.State, input);

    public static BatchNormalizationTransformer Transformer(int channels, BatchNormalizationOptions? options = null) =>
        new(View.ML, Column(channels, options));

    public static BatchNormalizationTransformer Transformer(params BatchNormalizationColumn[] columns) =>
        new(View.ML, columns);

    /// <summary>New settings in which nothing that is stored has its default.</summary>
    public static BatchNormalizationEstimator.Options Settings => new()
    {
        BatchSize = 24,
        Epochs = 3,
        Shuffle = true,
        Seed = -77,
        MaskColumnName = "Counts",
        TrainDownstreamOn = DownstreamStatistics.Batch,
        WarnOnDrift = true,
    };
}
