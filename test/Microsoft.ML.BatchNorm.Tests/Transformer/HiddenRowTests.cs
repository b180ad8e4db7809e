using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Fitting;
using Microsoft.ML.BatchNorm.Tests.Onnx;
using Microsoft.ML.BatchNorm.Tests.Pipelines;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;
using Saved = Microsoft.ML.BatchNorm.Tests.Persistence.Model;

namespace Microsoft.ML.BatchNorm.Tests.Transformer;

/// <summary>
/// In a row that the mask column hides, what is not finite comes out as it went in, and the rest is normalized; where
/// that column is not there, every row counts.
/// </summary>
[TestClass]
public class HiddenRowTests
{
    const int Rows = 20, Hidden = 5;

    [TestMethod]
    [DataRow(1, DisplayName = "shorter than a vector")]
    [DataRow(3, DisplayName = "in pieces")]
    [DataRow(16, DisplayName = "whole vectors")]
    [DataRow(37, DisplayName = "overlapping vectors")]
    [DataRow(40, 2, 4, 5, DisplayName = "an image")]
    public void What_is_not_finite_comes_out_as_it_went_in(int length, params int[] dimensions)
    {
        float[][] rows = Broken(length), whole = View.Floats(Rows, length);
        IDataView view = MaskedRow.View(rows, i => i != Hidden, dimensions);
        BatchNormalizationTransformer layer = Masked().Fit(view);
        float[][] expected = layer.Transform(MaskedRow.View(whole, _ => true, dimensions)).Rows<float>("Y");
        Special(expected);
        var loaded = (BatchNormalizationTransformer)Saved.Reload(layer, view.Schema);
        foreach (BatchNormalizationTransformer each in (BatchNormalizationTransformer[])
            [layer, loaded, layer.Freeze(), layer.FineTune(view).Freeze()])
        {
            bool isTuned = each.GetState("Y") != layer.GetState("Y") && each != loaded;
            IDataView output = each.Transform(view);
            foreach (IDataView seen in (IDataView[])
                [output, View.ML.Data.Cache(output), each.Transform(View.ML.Data.Cache(view))])
            {
                float[][] actual = seen.Rows<float>("Y");
                if (!isTuned)
                    Agreement.SameBits<float>(Flat(expected), Flat(actual));
                Agreement.SameBits<float>(
                    [.. rows[Hidden].Where(value => !float.IsFinite(value))],
                    [.. actual[Hidden].Where(value => !float.IsFinite(value))]);
            }
        }
        Exported.AssertSameValues(layer, view);
        Exported.AssertSameValues(loaded, view);
    }

    [TestMethod]
    public void A_scalar_comes_out_as_it_went_in()
    {
        MaskedValue[] rows =
            [new() { X = 1 }, new() { X = double.NegativeInfinity, Counts = false }, new() { X = 4 }];
        IDataView view = View.ML.Data.LoadFromEnumerable(rows);
        BatchNormalizationTransformer layer = Masked().Fit(view);
        Assert.AreEqual(2.5, layer.GetState("Y").MovingMean[0]);
        Assert.AreEqual(double.NegativeInfinity, layer.Transform(view).GetColumn<double>("Y").ElementAt(1));
        Exported.AssertSameValues(layer, view);
        rows[0].X = double.NaN;
        Assert.ThrowsExactly<InvalidOperationException>(() => layer.Transform(view).GetColumn<double>("Y").ToArray());
    }

    [TestMethod]
    public void A_sparse_row_comes_out_as_the_same_row_does_when_dense()
    {
        float[][] rows = Broken(8);
        foreach (float[] row in rows)
            row.AsSpan(2, 4).Clear();
        var dense = MaskedRow.View(rows, i => i != Hidden);
        BatchNormalizationTransformer layer = Masked().Fit(dense);
        SchemaDefinition definition = SchemaDefinition.Create(typeof(MaskedVector));
        definition["X"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, 8);
        IDataView sparse = View.ML.Data.LoadFromEnumerable(
            Sparse.Of(rows).Select((row, i) => new MaskedVector { X = row, Counts = i != Hidden }).ToArray(),
            definition);
        Assert.IsFalse(sparse.GetColumn<VBuffer<float>>("X").ElementAt(Hidden).IsDense);
        Agreement.SameBits<float>(
            Flat(layer.Transform(dense).Rows<float>("Y")), Flat(layer.Transform(sparse).Rows<float>("Y")));
        Assert.AreEqual(float.NegativeInfinity, layer.Transform(sparse).Rows<float>("Y")[Hidden][0]);
    }

    [TestMethod]
    public void A_row_that_counts_is_an_error_as_ever()
    {
        float[][] rows = Broken(3);
        BatchNormalizationTransformer layer = Masked().Fit(MaskedRow.View(rows, i => i != Hidden));
        foreach (IDataView view in (IDataView[])[MaskedRow.View(rows, i => i != 7), Fits.Vectors(rows)])
        {
            var error = Assert.ThrowsExactly<InvalidOperationException>(() => layer.Transform(view).Rows<float>("Y"));
            StringAssert.Contains(error.Message, $"row {Hidden}, slot 0 has");
        }
    }

    [TestMethod]
    public void No_schema_of_the_transformer_asks_for_the_mask_and_serving_needs_none()
    {
        BatchNormalizationTransformer layer = Masked().Fit(MaskedRow.View(Broken(3), i => i != Hidden));
        IDataView served = Fits.Vectors(View.Floats(Rows, 3));
        Assert.AreEqual(served.Schema["X"].Type, layer.GetOutputSchema(served.Schema)["Y"].Type);
        Assert.AreEqual(Rows, layer.Transform(served).Rows<float>("Y").Length);
        Assert.IsNotNull(((ITransformer)layer).GetRowToRowMapper(served.Schema));
        SchemaShape shape = View.ML.Transforms.BatchNormalization(layer, trainable: false)
            .GetOutputSchema(SchemaShape.Create(served.Schema));
        Assert.IsTrue(shape.TryFindColumn("Y", out _));
    }

    [TestMethod]
    public void A_prediction_engine_passes_the_row_where_its_class_has_the_mask_and_throws_where_not()
    {
        BatchNormalizationTransformer layer = Masked().Fit(MaskedRow.View(Broken(3), i => i != Hidden));
        ITransformer loaded = Saved.Reload(layer, MaskedRow.View(Broken(3), _ => true).Schema);
        foreach (ITransformer each in (ITransformer[])[layer, loaded])
        {
            SchemaDefinition definition = SchemaDefinition.Create(typeof(MaskedRow));
            definition["X"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, 3);
            using var engine = View.ML.Model.CreatePredictionEngine<MaskedRow, Output>(
                each, inputSchemaDefinition: definition);
            float[] finite = engine.Predict(new MaskedRow { X = [1, 2, 3], Counts = true }).Y;
            float[] y = engine.Predict(new MaskedRow { X = [1, float.NaN, float.NegativeInfinity] }).Y;
            Agreement.SameBits<float>([finite[0], float.NaN, float.NegativeInfinity], y);
            y = engine.Predict(new MaskedRow { X = [float.PositiveInfinity, 2, 3] }).Y;
            Agreement.SameBits<float>([float.PositiveInfinity, finite[1], finite[2]], y);
            Assert.ThrowsExactly<InvalidOperationException>(
                () => engine.Predict(new MaskedRow { X = [1, float.NaN, 3], Counts = true }));
        }
        SchemaDefinition plain = SchemaDefinition.Create(typeof(Unmasked));
        plain["X"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, 3);
        using var served = View.ML.Model.CreatePredictionEngine<Unmasked, Output>(
            layer, inputSchemaDefinition: plain);
        Assert.ThrowsExactly<InvalidOperationException>(() => served.Predict(new Unmasked { X = [1, float.NaN, 3] }));
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void Batches_down_the_chain_pass_it_too(bool trainable)
    {
        float[][] rows = Broken(3);
        IDataView view = MaskedRow.View(rows, i => i != Hidden);
        var next = new Witness();
        new EstimatorChain<ITransformer>().Append(Masked(options =>
        {
            options.TrainDownstreamOn = DownstreamStatistics.Batch;
            options.Layer = options.Layer with { Trainable = trainable };
        })).Append(next).Fit(view);
        float[] y = next.Seen!.Rows<float>("Y")[Hidden];
        Agreement.SameBits<float>([rows[Hidden][0], rows[Hidden][2]], [y[0], y[2]]);
        Assert.IsTrue(float.IsFinite(y[1]));
    }

    static BatchNormalizationEstimator Masked(Action<BatchNormalizationEstimator.Options>? change = null) =>
        Fits.Estimator(options =>
        {
            options.MaskColumnName = "Counts";
            change?.Invoke(options);
        });

    static float[][] Broken(int length)
    {
        float[][] rows = View.Floats(Rows, length);
        Special(rows);
        return rows;
    }

    static void Special(float[][] rows)
    {
        rows[Hidden][0] = float.NegativeInfinity;
        rows[Hidden][^1] = float.NaN;
    }

    static float[] Flat(float[][] rows) => [.. rows.SelectMany(row => row)];

    sealed class MaskedValue
    {
        public double X { get; set; }

        public bool Counts { get; set; } = true;
    }

    sealed class MaskedVector
    {
        public VBuffer<float> X { get; set; }

        public bool Counts { get; set; }
    }

    sealed class Unmasked
    {
        public float[] X { get; set; } = [];
    }

    sealed class Output
    {
        public float[] Y { get; set; } = [];
    }
}
