using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

public sealed partial class BatchNormalizationTransformer : ITransformerWithDifferentMappingAtTrainingTime
{
    /// <summary>What the estimators behind this one in a chain are trained on.</summary>
    IDataView ITransformerWithDifferentMappingAtTrainingTime.TransformForTrainingPipeline(IDataView input)
    {
        Host.CheckValue(input, nameof(input));
        IDataView transformed = Transform(input);
        return Settings.TrainDownstreamOn == DownstreamStatistics.Moving
            ? transformed
            : new TrainingView(
                Host, input, transformed, columns, Settings.BatchSize,
                Settings.FindMask(Host, input.Schema, columns.Select(column => column.Options))
                    ?? MaskIn(input.Schema));
    }
}
