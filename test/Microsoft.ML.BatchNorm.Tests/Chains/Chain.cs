using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;
using Saved = Microsoft.ML.BatchNorm.Tests.Persistence.Model;

namespace Microsoft.ML.BatchNorm.Tests.Chains;

/// <summary>Pipelines as ML.NET's users write them, from raw columns to a prediction as text.</summary>
static class Chain
{
    public static MLContext Context => View.ML;

    public static IDataView Train { get; } = Rows(seed: 1);

    /// <summary>Rows whose columns have moved.</summary>
    public static IDataView New { get; } = Rows(seed: 2, shift: 1.5f);

    /// <summary>The same rows without the label.</summary>
    public static IDataView Unlabeled { get; } =
        Context.Data.LoadFromEnumerable(Made(seed: 2, shift: 1.5f).Select(row => new Raw { A = row.A, B = row.B }));

    static readonly Lazy<TransformerChain<ITransformer>> usual = new(() => Usual(Layer("Features")));

    /// <summary>Concatenate → BatchNormalization in place → MapValueToKey → trainer → MapKeyToValue.</summary>
    public static TransformerChain<ITransformer> UsualModel => usual.Value;

    public static TransformerChain<ITransformer> Usual(IEstimator<ITransformer> layer)
    {
        var trainer = Context.MulticlassClassification.Trainers.SdcaMaximumEntropy(
            new SdcaMaximumEntropyMulticlassTrainer.Options { MaximumNumberOfIterations = 5, NumberOfThreads = 1 });
        return Typed(Context.Transforms.Concatenate("Features", "A", "B").Append(layer)
            .Append(Context.Transforms.Conversion.MapValueToKey("Label"), TransformerScope.TrainTest)
            .Append(trainer)
            .Append(Context.Transforms.Conversion.MapKeyToValue("PredictedLabel")).Fit(Train));
    }

    /// <summary>The chain as one of any transformers, as it comes from a file.</summary>
    public static TransformerChain<ITransformer> Typed<TLast>(TransformerChain<TLast> chain)
        where TLast : class, ITransformer =>
        new(chain, ((ITransformerChainAccessor)chain).Scopes);

    public static BatchNormalizationEstimator Layer(string output, string? input = null) =>
        Context.Transforms.BatchNormalization(output, input);

    public static BatchNormalizationEstimator Layer(
        string output, string? input, Action<BatchNormalizationEstimator.Options> change)
    {
        var options = new BatchNormalizationEstimator.Options { Columns = [new(output, input)] };
        change(options);
        return Context.Transforms.BatchNormalization(options);
    }

    public static ITransformer Loaded(ITransformer model) => Saved.Reload(model, Train.Schema);

    /// <summary>The layers of a model, walked by its public face.</summary>
    public static BatchNormalizationTransformer[] Layers(ITransformer model) => model switch
    {
        BatchNormalizationTransformer layer => [layer],
        IEnumerable<ITransformer> chain => [.. chain.SelectMany(Layers)],
        _ => [],
    };

    /// <summary>The types of the steps, with the nesting.</summary>
    public static string Shape(ITransformer model) => model is ITransformerChainAccessor chain
        ? $"{model.GetType()}[{string.Join(", ", chain.Transformers.Zip(chain.Scopes, (step, scope) =>
            $"{Shape(step)} {scope}"))}]"
        : $"{model.GetType().Name}";

    public static void AssertSameLayers(ITransformer expected, ITransformer actual)
    {
        BatchNormalizationTransformer[] of = Layers(expected), found = Layers(actual);
        Assert.AreEqual(of.Length, found.Length);
        foreach ((BatchNormalizationTransformer one, BatchNormalizationTransformer other) in of.Zip(found))
            Saved.AssertSame(one, other);
    }

    /// <summary>The rows behind the first steps.</summary>
    public static IDataView Behind(IEnumerable<ITransformer> steps, int count, IDataView rows) =>
        steps.Take(count).Aggregate(rows, (view, step) => step.Transform(view));

    static Row[] Made(int seed, float shift)
    {
        float[] noise = Sample.Floats(3 * 240, seed, mean: 3, deviation: 2);
        return [.. noise.Chunk(3).Select((values, i) => new Row
        {
            A = values[0] + shift + i % 3,
            B = [values[1] * 10 - shift, values[2] + i % 2],
            Label = $"kind {i % 3}",
            Counts = i % 4 != 0,
        })];
    }

    static IDataView Rows(int seed, float shift = 0) => Context.Data.LoadFromEnumerable(Made(seed, shift));

    public class Raw
    {
        public float A { get; set; }

        [VectorType(2)]
        public float[] B { get; set; } = [];
    }

    public sealed class Row : Raw
    {
        public string Label { get; set; } = "";

        public bool Counts { get; set; }
    }
}
