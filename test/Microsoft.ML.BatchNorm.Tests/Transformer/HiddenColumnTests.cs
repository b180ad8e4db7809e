using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Fitting;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Transformer;

/// <summary>Columns that hide others of their name.</summary>
[TestClass]
public class HiddenColumnTests
{
    static readonly float[][] Rows = View.Floats(50, 12);

    [TestMethod]
    public void The_column_that_hides_the_others_is_normalized()
    {
        IDataView view = Fits.Vectors(Rows);
        BatchNormalizationTransformer first = Layers.Transformer(Layers.Column(12, output: "X", seed: 20));
        BatchNormalizationTransformer second = Layers.Transformer(Layers.Column(12, output: "X", seed: 30));
        BatchNormalizationTransformer third = Layers.Transformer(Layers.Column(12, output: "Y", seed: 40));
        IDataView output = new TransformerChain<ITransformer>(first, second, third).Transform(view);
        CollectionAssert.AreEqual(
            (string[])["X hidden", "X hidden", "X", "Y"],
            output.Schema.Select(column => column.Name + (column.IsHidden ? " hidden" : "")).ToArray());

        float[][] actual = output.Rows<float>("Y");
        for (int i = 0; i < Rows.Length; i++)
        {
            float[] expected = [.. Rows[i]];
            foreach (BatchNormalizationTransformer layer in (BatchNormalizationTransformer[])[first, second, third])
                layer.Columns[0].Map.Apply([.. expected], expected);
            Agreement.SameBits<float>(expected, actual[i], $"row {i}");
        }
    }

    [TestMethod]
    public void Hidden_columns_can_be_read_beside_the_one_that_hides_them()
    {
        IDataView output = Layers.Transformer(Layers.Column(12, output: "X")).Transform(Fits.Vectors(Rows));
        float[][] visible = output.Rows<float>("X");
        using DataViewRowCursor cursor = output.GetRowCursor(output.Schema);
        ValueGetter<VBuffer<float>> hidden = cursor.GetGetter<VBuffer<float>>(output.Schema[0]);
        ValueGetter<VBuffer<float>> shown = cursor.GetGetter<VBuffer<float>>(output.Schema[1]);
        VBuffer<float> value = default;
        for (int i = 0; cursor.MoveNext(); i++)
        {
            shown(ref value);
            Agreement.SameBits<float>(visible[i], value.GetValues(), $"row {i}");
            hidden(ref value);
            Agreement.SameBits<float>(Rows[i], value.GetValues(), $"row {i}");
        }
    }

    [TestMethod]
    [DataRow(DownstreamStatistics.Moving)]
    [DataRow(DownstreamStatistics.Batch)]
    public void A_chain_that_replaces_one_column_three_times_keeps_ML_NET_s_contract(DownstreamStatistics downstream)
    {
        BatchNormalizationEstimator InPlace() => Fits.Estimator(options =>
        {
            options.Columns = [new InputOutputColumnPair("X")];
            options.TrainDownstreamOn = downstream;
        });
        IDataView view = Fits.Vectors(Rows);
        EstimatorContract.Check(
            InPlace().Append(InPlace()).Append(InPlace()), view, Fits.Vectors(View.Floats(7, 12, seed: 2)),
            View.Scalars("one"));
    }
}
