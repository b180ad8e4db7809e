using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

public sealed partial class BatchNormalizationTransformer : ITransformerWithDifferentMappingAtTrainingTime
{
    /// <summary>What the estimators behind this one in a chain are trained on.</summary>
    IDataView ITransformerWithDifferentMappingAtTrainingTime.TransformForTrainingPipeline(IDataView input)
    {
        Host.CheckValue(input, nameof(input));
        IDataView transformed = Transform(input);
        return downstreamBatchSize is { } batchSize
            ? new TrainingView(Host, input, transformed, columns, batchSize)
            : transformed;
    }
}
