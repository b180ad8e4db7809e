using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>Saves and loads through ML.NET, and compares what came back.</summary>
static class Model
{
    public static ITransformer Reload(ITransformer transformer, DataViewSchema schema)
    {
        var stream = new MemoryStream();
        View.ML.Model.Save(transformer, schema, stream);
        stream.Position = 0;
        return new MLContext().Model.Load(stream, out _);
    }

    public static void AssertSame(BatchNormalizationTransformer expected, BatchNormalizationTransformer actual) =>
        Assert.IsTrue(AreSame(expected, actual), "The loaded transformer is not the one that was saved.");

    /// <summary>What a transformer keeps of the options: what is stored with it, and what belongs to its process.</summary>
    public static object Values(BatchNormalizationEstimator.Options settings) => (
        settings.BatchSize, settings.Epochs, settings.Shuffle, settings.Seed, settings.MaskColumnName,
        settings.TrainDownstreamOn, settings.WarnOnDrift, settings.NumberOfThreads, settings.Engine);

    public static bool AreSame(BatchNormalizationTransformer expected, BatchNormalizationTransformer actual) =>
        Values(expected.Settings).Equals(Values(actual.Settings))
        && expected.Columns.Count == actual.Columns.Count
        && expected.Columns.Zip(actual.Columns).All(pair =>
            pair.First.OutputColumnName == pair.Second.OutputColumnName
            && pair.First.InputColumnName == pair.Second.InputColumnName
            && pair.First.Options == pair.Second.Options
            && pair.First.Input == pair.Second.Input
            && pair.First.State.Equals(pair.Second.State));
}
