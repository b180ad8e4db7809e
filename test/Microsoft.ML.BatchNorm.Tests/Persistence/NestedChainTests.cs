using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Fitting;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;
using Made = Microsoft.ML.BatchNorm.Tests.Transformer.Layers;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>Chains within chains.</summary>
[TestClass]
public class NestedChainTests
{
    static readonly IDataView Rows = Fits.Vectors(View.Floats(60, 5));

    static readonly TransformerChain<ITransformer> Outer = Nested();

    [TestMethod]
    public void Loaded_every_layer_is_where_it_was()
    {
        var loaded = (TransformerChain<ITransformer>)Model.Reload(Outer, Rows.Schema);
        BatchNormalizationTransformer[] expected = [.. Layers(Outer)], actual = [.. Layers(loaded)];
        Assert.HasCount(3, expected);
        Assert.HasCount(3, actual);
        for (int i = 0; i < expected.Length; i++)
            Model.AssertSame(expected[i], actual[i]);
        CollectionAssert.AreEqual(Table.Values(Outer.Transform(Rows)), Table.Values(loaded.Transform(Rows)));
    }

    [TestMethod]
    public void A_process_that_has_never_touched_the_library_gives_the_same_bits()
    {
        IDataView expected = Outer.Transform(Rows), actual = FreshProcess.Transform(Outer, Rows);
        foreach (string column in (string[])["A", "B", "C"])
            Agreement.SameBits<float>(
                [.. expected.Rows<float>(column).SelectMany(row => row)],
                [.. actual.Rows<float>(column).SelectMany(row => row)], column);
    }

    static IEnumerable<BatchNormalizationTransformer> Layers(ITransformer transformer) => transformer switch
    {
        BatchNormalizationTransformer layer => [layer],
        IEnumerable<ITransformer> chain => chain.SelectMany(Layers),
        _ => [],
    };

    static TransformerChain<ITransformer> Nested()
    {
        TransformsCatalog transforms = View.ML.Transforms;
        BatchNormalizationTransformer first = transforms.BatchNormalization("A", "X").Fit(Rows);
        var inner = new TransformerChain<ITransformer>(
            transforms.BatchNormalization("B", "A").Fit(first.Transform(Rows)),
            Made.Transformer(Made.Column(5, output: "C", input: "B")));
        return new TransformerChain<ITransformer>(
            new TransformerChain<ITransformer>(first), new TransformerChain<ITransformer>(inner));
    }
}
