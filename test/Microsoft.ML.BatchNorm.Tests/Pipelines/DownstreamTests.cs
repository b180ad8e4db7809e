using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Fitting;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Pipelines;

/// <summary>What estimators further down a chain are trained on.</summary>
[TestClass]
public class DownstreamTests
{
    static readonly float[][] Rows = View.Floats(22, 3);

    static IEnumerable<object[]> Batches =>
        [[22, new[] { 8, 8, 6 }], [24, new[] { 8, 8, 8 }], [17, new[] { 8, 9 }], [18, new[] { 8, 8, 2 }],
            [9, new[] { 9 }], [5, new[] { 5 }]];

    [TestMethod]
    [DynamicData(nameof(Batches))]
    public void On_batch_statistics_the_next_estimator_sees_training_mode_s_output(int count, int[] batches)
    {
        float[][] rows = View.Floats(count, 3);
        foreach (MovingStatistics kind in Enum.GetValues<MovingStatistics>())
        {
            var layer = BatchNormalizationOptions.Keras with { MovingStatistics = kind };
            (BatchNormalizationTransformer fitted, IDataView seen) = Chain(Fits.Vectors(rows), layer);
            AssertRows(Training(layer, fitted.GetState("Y"), rows, batches), seen.Rows<float>("Y"));
            AssertRows(rows, seen.Rows<float>("X"));
        }
    }

    [TestMethod]
    public void The_chain_that_was_fitted_transforms_with_the_moving_statistics()
    {
        IDataView view = Fits.Vectors(Rows);
        EstimatorChain<ITransformer> estimators = new EstimatorChain<ITransformer>()
            .Append(Batched(BatchNormalizationOptions.Keras with { Momentum = 0.5 }))
            .Append<ITransformer>(View.ML.Transforms.BatchNormalization("Z", "Y"));
        TransformerChain<ITransformer> chain = estimators.Fit(view);
        var first = (BatchNormalizationTransformer)chain.First();
        AssertRows(
            new BatchNormalizationTransformer(View.ML, first.Columns[0]).Transform(view).Rows<float>("Y"),
            chain.Transform(view).Rows<float>("Y"));
        BatchNormalizationState second = ((BatchNormalizationTransformer)chain.Last()).GetState("Z");
        Agreement.Within(1e-6, [0, 0, 0], second.MovingMean);
    }

    [TestMethod]
    public void Behind_a_chain_within_a_chain_ML_NET_trains_on_the_moving_statistics()
    {
        IDataView view = Fits.Vectors(Rows);
        Witness inside = new(), behind = new();
        EstimatorChain<ITransformer> inner = new EstimatorChain<ITransformer>()
            .Append<ITransformer>(Batched(BatchNormalizationOptions.Keras with { Momentum = 0.5 })).Append(inside);
        TransformerChain<ITransformer> chain =
            new EstimatorChain<ITransformer>().Append<ITransformer>(inner).Append(behind).Fit(view);
        AssertRows(chain.Transform(view).Rows<float>("Y"), behind.Seen!.Rows<float>("Y"));
        CollectionAssert.AreNotEqual(behind.Seen!.Rows<float>("Y")[0], inside.Seen!.Rows<float>("Y")[0]);
    }

    [TestMethod]
    public void On_moving_statistics_the_next_estimator_sees_what_Transform_gives()
    {
        IDataView view = Fits.Vectors(Rows);
        BatchNormalizationTransformer fitted =
            Fits.Estimator(BatchNormalizationOptions.Keras with { Momentum = 0.5 }).Fit(view);
        AssertRows(fitted.Transform(view).Rows<float>("Y"), ForTraining(fitted, view).Rows<float>("Y"));
    }

    [TestMethod]
    public void A_frozen_layer_gives_its_moving_statistics_on_batches_too()
    {
        IDataView view = Fits.Vectors(Rows);
        (BatchNormalizationTransformer fitted, _) = Chain(view, BatchNormalizationOptions.Keras);
        AssertRows(fitted.Transform(view).Rows<float>("Y"), ForTraining(fitted.Freeze(), view).Rows<float>("Y"));
    }

    [TestMethod]
    public void The_schema_is_that_of_Transform()
    {
        IDataView view = Fits.Vectors(Rows);
        (BatchNormalizationTransformer fitted, IDataView seen) = Chain(view, BatchNormalizationOptions.Keras);
        CollectionAssert.AreEqual(Table.Schema(fitted.Transform(view).Schema), Table.Schema(seen.Schema));
        Assert.AreEqual(view.GetRowCount(), seen.GetRowCount());
    }

    [TestMethod]
    public void Images_and_doubles_and_scalars_are_normalized_by_batch_as_well()
    {
        float[][] rows = View.Floats(22, 12);
        var layer = BatchNormalizationOptions.Keras with { Axis = 1 };
        (BatchNormalizationTransformer fitted, IDataView seen) = Chain(View.Vectors(View.Dense(rows), 2, 3, 2), layer);
        AssertRows(
            Training(layer, fitted.GetState("Y"), rows, [8, 8, 6], size => new([size, 2, 3, 2], 1)),
            seen.Rows<float>("Y"));

        double[] scalars = Sample.Doubles(6, 1), expected = new double[6];
        (fitted, seen) = Chain(View.Scalars(scalars), BatchNormalizationOptions.Keras);
        BatchNormalization.Forward(
            BatchNormalizationOptions.Keras, fitted.GetState("Y"), ChannelLayout.Features(6, 1), scalars, expected,
            training: true);
        Agreement.SameBits<double>(expected, [.. seen.GetColumn<double>("Y")]);
    }

    [TestMethod]
    public void An_input_that_is_replaced_is_normalized_once()
    {
        var layer = BatchNormalizationOptions.Keras;
        BatchNormalizationTransformer fitted = Fits.Estimator(options =>
        {
            options.Columns = [new InputOutputColumnPair("X")];
            options.Layer = layer;
            options.BatchSize = 8;
            options.TrainDownstreamOn = DownstreamStatistics.Batch;
        }).Fit(Fits.Vectors(Rows));
        AssertRows(
            Training(layer, fitted.GetState("X"), Rows, [8, 8, 6]),
            ForTraining(fitted, Fits.Vectors(Rows)).Rows<float>("X"));
    }

    [TestMethod]
    public void Several_cursors_and_cursor_sets_give_every_row_once_and_in_order()
    {
        (_, IDataView seen) = Chain(Fits.Vectors(Rows), BatchNormalizationOptions.Keras);
        float[][] expected = seen.Rows<float>("Y");
        DataViewSchema.Column y = seen.Schema["Y"];
        using DataViewRowCursor first = seen.GetRowCursor([y]), second = seen.GetRowCursor([y]);
        ValueGetter<VBuffer<float>> one = first.GetGetter<VBuffer<float>>(y),
            other = second.GetGetter<VBuffer<float>>(y);
        VBuffer<float> left = default, right = default;
        Assert.IsTrue(second.MoveNext());
        for (int i = 0; first.MoveNext(); i++)
        {
            Assert.AreEqual(i, first.Position);
            one(ref left);
            Agreement.SameBits(expected[i], left.GetValues(), $"row {i}");
        }
        other(ref right);
        Agreement.SameBits(expected[0], right.GetValues());
        Assert.AreEqual(0, second.Position);
        Assert.AreEqual(Rows.Length, seen.GetRowCursorSet([y], 4).Sum(cursor =>
        {
            int rows = 0;
            using (cursor)
            {
                while (cursor.MoveNext())
                    rows++;
            }
            return rows;
        }));
    }

    [TestMethod]
    public void A_column_that_is_not_normalized_costs_no_batch()
    {
        var view = new GeneratedView(3, 20, (_, _) => Assert.Fail("X was read."));
        IDataView seen = ForTraining(Unread(), view);
        using DataViewRowCursor cursor = seen.GetRowCursor([seen.Schema["Counts"]]);
        while (cursor.MoveNext())
            Assert.IsFalse(cursor.IsColumnActive(seen.Schema["Y"]));
        Assert.AreEqual(20, view.Read);
        Assert.AreEqual(1, view.Cursors.Opened);
    }

    [TestMethod]
    public void A_column_that_is_normalized_is_computed_once_a_row()
    {
        int fills = 0;
        var view = new GeneratedView(3, 20, (row, x) =>
        {
            Interlocked.Increment(ref fills);
            x.Fill(row);
        });
        IDataView seen = ForTraining(Unread(), view);
        using DataViewRowCursor cursor = seen.GetRowCursor([seen.Schema["Y"], seen.Schema["Counts"]]);
        while (cursor.MoveNext())
            Assert.IsTrue(cursor.IsColumnActive(seen.Schema["Y"]));
        Assert.AreEqual(20, fills);
    }

    [TestMethod]
    public void The_cursors_behind_it_are_disposed()
    {
        var view = new GeneratedView(3, 20, (row, x) => x.Fill(row));
        IDataView seen = ForTraining(Unread(), view);
        using (DataViewRowCursor cursor = seen.GetRowCursor(seen.Schema))
            cursor.MoveNext();
        Assert.AreEqual(2, view.Cursors.Opened);
        Assert.AreEqual(2, view.Cursors.Disposed);
    }

    /// <summary>A batch estimator's transformer of three channels.</summary>
    static BatchNormalizationTransformer Unread() => Batched(BatchNormalizationOptions.Keras).Fit(Fits.Vectors(Rows));

    static BatchNormalizationEstimator Batched(BatchNormalizationOptions layer) => Fits.Estimator(options =>
        (options.Layer, options.BatchSize, options.TrainDownstreamOn) = (layer, 8, DownstreamStatistics.Batch));

    /// <summary>Fits an estimator chain whose second estimator keeps what it is trained on.</summary>
    static (BatchNormalizationTransformer Fitted, IDataView Seen) Chain(IDataView view, BatchNormalizationOptions layer)
    {
        var next = new Witness();
        TransformerChain<ITransformer> chain =
            new EstimatorChain<ITransformer>().Append(Batched(layer)).Append(next).Fit(view);
        return ((BatchNormalizationTransformer)chain.First(), next.Seen!);
    }

    static IDataView ForTraining(BatchNormalizationTransformer transformer, IDataView view) =>
        ((ITransformerWithDifferentMappingAtTrainingTime)transformer).TransformForTrainingPipeline(view);

    static float[][] Training(
        BatchNormalizationOptions layer, BatchNormalizationState state, float[][] rows, int[] batches,
        Func<int, ChannelLayout>? layout = null)
    {
        var output = new List<float[]>();
        foreach (int size in batches)
        {
            float[] x = [.. rows[output.Count..(output.Count + size)].SelectMany(row => row)], y = new float[x.Length];
            BatchNormalization.Forward(
                layer, state, layout?.Invoke(size) ?? ChannelLayout.Features(size, rows[0].Length), x, y,
                training: true);
            output.AddRange(y.Chunk(rows[0].Length));
        }
        return [.. output];
    }

    static void AssertRows(float[][] expected, float[][] actual)
    {
        Assert.AreEqual(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
            Agreement.SameBits<float>(expected[i], actual[i], $"row {i}");
    }
}
