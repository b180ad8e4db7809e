using Microsoft.ML.BatchNorm.Tests.Transformer;

namespace Microsoft.ML.BatchNorm.Tests.Pipelines;

/// <summary>An estimator that learns nothing and keeps the view that it is fitted to.</summary>
sealed class Witness : IEstimator<ITransformer>
{
    public IDataView? Seen { get; private set; }

    public ITransformer Fit(IDataView input)
    {
        Seen = input;
        return View.ML.Transforms.CopyColumns("Copy", "Y").Fit(input);
    }

    public SchemaShape GetOutputSchema(SchemaShape inputSchema) => inputSchema;
}
