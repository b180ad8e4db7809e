using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Fitting;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Pipelines;

/// <summary>What estimators further down a chain are trained on where a mask column hides rows.</summary>
[TestClass]
public class MaskedDownstreamTests
{
    static readonly BatchNormalizationOptions Keras = BatchNormalizationOptions.Keras;

    static IEnumerable<object[]> Batches => [[22, new[] { 8, 8, 6 }], [17, new[] { 8, 9 }], [5, new[] { 5 }]];

    [TestMethod]
    [DynamicData(nameof(Batches))]
    public void A_batch_s_statistics_are_those_of_the_rows_that_the_mask_shows(int count, int[] batches)
    {
        bool[] mask = Sample.Mask(count, 3);
        foreach (MovingStatistics kind in Enum.GetValues<MovingStatistics>())
            AssertMasked(View.Floats(count, 3), mask, batches, Keras with { MovingStatistics = kind });
    }

    [TestMethod]
    public void A_row_s_mask_is_that_of_all_its_positions() =>
        AssertMasked(View.Floats(22, 12), Sample.Mask(22, 3), [8, 8, 6], Keras with { Axis = 1 }, 2, 3, 2);

    [TestMethod]
    public void Virtual_batches_and_renorm_know_the_mask()
    {
        AssertMasked(View.Floats(22, 3), Sample.Mask(22, 5), [8, 8, 6], Keras with { VirtualBatchSize = 4 });
        AssertMasked(View.Floats(22, 3), Sample.Mask(22, 5), [8, 8, 6], Keras with { Renorm = new() });
    }

    [TestMethod]
    public void A_batch_that_is_hidden_whole_takes_the_moving_statistics()
    {
        float[][] rows = View.Floats(22, 3);
        bool[] mask = [.. Enumerable.Range(0, 22).Select(i => i / 8 != 1)];
        var layer = Keras with { Momentum = 0.5 };
        AssertMasked(rows, mask, [8, 8, 6], layer);
        (BatchNormalizationTransformer fitted, IDataView seen) = Chain(MaskedRow.View(rows, i => mask[i]), layer);
        float[][] moving = fitted.Transform(Fits.Vectors(rows)).Rows<float>("Y");
        for (int i = 8; i < 16; i++)
            Agreement.SameBits<float>(moving[i], seen.Rows<float>("Y")[i], $"row {i}");
    }

    [TestMethod]
    public void A_hidden_row_may_hold_anything()
    {
        float[][] rows = View.Floats(22, 3);
        rows[10][1] = float.NaN;
        (_, IDataView seen) = Chain(MaskedRow.View(rows, i => i != 10), Keras with { Momentum = 0.5 });
        Assert.IsTrue(float.IsNaN(seen.Rows<float>("Y")[10][1]));
        Assert.IsTrue(seen.Rows<float>("Y").Where((_, i) => i != 10).All(row => row.All(float.IsFinite)));
    }

    [TestMethod]
    public void A_value_that_is_not_finite_is_named_by_its_row_of_the_data_and_its_slot()
    {
        float[][] rows = View.Floats(22, 3), broken = View.Floats(22, 3);
        broken[3][0] = broken[13][2] = float.NaN;
        (BatchNormalizationTransformer fitted, _) = Chain(MaskedRow.View(rows, i => i != 3), Keras with { Momentum = 0.5 });
        foreach (BatchNormalizationTransformer transformer in
            (BatchNormalizationTransformer[])[fitted, fitted.Freeze()])
        {
            IDataView seen = ((ITransformerWithDifferentMappingAtTrainingTime)transformer)
                .TransformForTrainingPipeline(MaskedRow.View(broken, i => i != 3));
            StringAssert.Contains(
                Assert.ThrowsExactly<InvalidOperationException>(() => seen.Rows<float>("Y")).Message,
                "Column 'X' is not finite: row 13, slot 2 has NaN.");
        }
    }

    [TestMethod]
    public void A_frozen_layer_needs_no_mask_column()
    {
        float[][] rows = View.Floats(22, 3);
        (BatchNormalizationTransformer fitted, _) =
            Chain(MaskedRow.View(rows, i => i % 2 == 0), Keras with { Momentum = 0.5 });
        var next = new Witness();
        new EstimatorChain<ITransformer>()
            .Append(View.ML.Transforms.BatchNormalization(fitted, trainable: false)).Append(next)
            .Fit(Fits.Vectors(rows));
        Agreement.SameBits<float>(
            [.. fitted.Transform(Fits.Vectors(rows)).Rows<float>("Y").SelectMany(row => row)],
            [.. next.Seen!.Rows<float>("Y").SelectMany(row => row)]);
    }

    static void AssertMasked(
        float[][] rows, bool[] mask, int[] batches, BatchNormalizationOptions layer, params int[] dimensions)
    {
        (BatchNormalizationTransformer fitted, IDataView seen) =
            Chain(MaskedRow.View(rows, i => mask[i], dimensions), layer);
        float[][] actual = seen.Rows<float>("Y");
        int length = rows[0].Length, at = 0;
        foreach (int size in batches)
        {
            var layout = new ChannelLayout([size, .. dimensions is [] ? [length] : dimensions], layer.Axis ?? 1);
            float[] x = [.. rows[at..(at + size)].SelectMany(row => row)], y = new float[x.Length];
            bool[] positions =
                [.. mask[at..(at + size)].SelectMany(shown => Enumerable.Repeat(shown, layout.Positions / size))];
            BatchNormalization.Forward(layer, fitted.GetState("Y"), layout, x, y, training: true, positions);
            Agreement.SameBits<float>(y, [.. actual[at..(at + size)].SelectMany(row => row)], $"rows from {at}");
            at += size;
        }
        Assert.AreEqual(at, actual.Length);
    }

    static (BatchNormalizationTransformer Fitted, IDataView Seen) Chain(IDataView view, BatchNormalizationOptions layer)
    {
        var next = new Witness();
        TransformerChain<ITransformer> chain = new EstimatorChain<ITransformer>().Append(Fits.Estimator(options =>
        {
            (options.Layer, options.BatchSize, options.MaskColumnName) = (layer, 8, "Counts");
            options.TrainDownstreamOn = DownstreamStatistics.Batch;
        })).Append(next).Fit(view);
        return ((BatchNormalizationTransformer)chain.First(), next.Seen!);
    }
}
