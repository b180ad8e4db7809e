using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Pipelines;

/// <summary>The ways in which ML.NET asks a transformer for values all give the same bits.</summary>
[TestClass]
public class PredictionTests
{
    const int Few = 64;

    static readonly IDataView Data = View.ML.Data.TakeRows(Digits.Load(), Few);

    static readonly Digits.Image[] Images =
        [.. View.ML.Data.CreateEnumerable<Digits.Image>(Data, reuseRowObject: false)];

    static readonly BatchNormalizationTransformer Fitted =
        View.ML.Transforms.BatchNormalization("Features", "Pixels").Fit(Data);

    static readonly float[][] Expected = Fitted.Transform(Data).Rows<float>("Features");

    [TestMethod]
    public void A_prediction_engine()
    {
        using var engine = View.ML.Model.CreatePredictionEngine<Digits.Image, Digits.Normalized>(Fitted);
        for (int i = 0; i < Few; i++)
            Agreement.SameBits<float>(Expected[i], engine.Predict(Images[i]).Features, $"row {i}");
    }

    [TestMethod]
    public void A_prediction_engine_that_reuses_its_result()
    {
        using var engine = View.ML.Model.CreatePredictionEngine<Digits.Image, Digits.Normalized>(Fitted);
        var result = new Digits.Normalized();
        for (int i = 0; i < Few; i++)
        {
            engine.Predict(Images[i], ref result);
            Agreement.SameBits<float>(Expected[i], result.Features, $"row {i}");
        }
    }

    [TestMethod]
    public void A_prediction_engine_over_a_whole_chain()
    {
        var context = new MLContext(1);
        TransformerChain<ITransformer> chain = Digits.Pipeline(context).Fit(Data);
        float[][] features = chain.Transform(Data).Rows<float>("Features");
        float[][] scores = chain.Transform(Data).Rows<float>("Score");
        using var engine = context.Model.CreatePredictionEngine<Digits.Image, Digits.Predicted>(chain);
        for (int i = 0; i < Few; i++)
        {
            Digits.Predicted predicted = engine.Predict(Images[i]);
            Agreement.SameBits<float>(features[i], predicted.Features, $"row {i}");
            Agreement.SameBits<float>(scores[i], predicted.Score, $"row {i}");
        }
    }

    [TestMethod]
    public void Prediction_engines_of_sixteen_threads()
    {
        Threads.Run(16, _ =>
        {
            using var engine = View.ML.Model.CreatePredictionEngine<Digits.Image, Digits.Normalized>(Fitted);
            for (int i = 0; i < 20 * Few; i++)
                Agreement.SameBits<float>(Expected[i % Few], engine.Predict(Images[i % Few]).Features, $"row {i}");
        });
    }

    [TestMethod]
    public void A_prediction_engine_that_goes_from_thread_to_thread()
    {
        const int threads = 16, rounds = 40;
        var engines = Enumerable.Range(0, threads).Select(
            _ => View.ML.Model.CreatePredictionEngine<Digits.Image, Digits.Normalized>(Fitted)).ToArray();
        using var barrier = new Barrier(threads);
        Threads.Run(threads, thread =>
        {
            for (int round = 0; round < rounds; round++)
            {
                int row = (thread * rounds + round) % Few;
                try
                {
                    Agreement.SameBits<float>(
                        Expected[row], engines[(thread + round) % threads].Predict(Images[row]).Features, $"row {row}");
                }
                finally
                {
                    barrier.SignalAndWait();
                }
            }
        });
    }

    [TestMethod]
    public void The_row_to_row_mapper()
    {
        IRowToRowMapper mapper = ((ITransformer)Fitted).GetRowToRowMapper(Data.Schema);
        DataViewSchema.Column features = mapper.OutputSchema["Features"];
        CollectionAssert.AreEqual(
            (string[])["Pixels"], mapper.GetDependencies([features]).Select(column => column.Name).ToArray());
        using DataViewRowCursor cursor = Data.GetRowCursor(mapper.GetDependencies([features]));
        using DataViewRow row = mapper.GetRow(cursor, [features]);
        ValueGetter<VBuffer<float>> getter = row.GetGetter<VBuffer<float>>(row.Schema["Features"]);
        VBuffer<float> value = default;
        for (int i = 0; cursor.MoveNext(); i++)
        {
            getter(ref value);
            Assert.IsTrue(value.IsDense);
            Agreement.SameBits(Expected[i], value.GetValues(), $"row {i}");
            getter(ref value);
            Agreement.SameBits(Expected[i], value.GetValues(), $"row {i}, asked again");
        }
    }

    [TestMethod]
    public void A_set_of_cursors()
    {
        IDataView output = Fitted.Transform(View.ML.Data.Cache(Data));
        DataViewSchema.Column features = output.Schema["Features"];
        int rows = 0;
        foreach (DataViewRowCursor cursor in output.GetRowCursorSet([features], 3))
        {
            using (cursor)
            {
                ValueGetter<DataViewRowId> id = cursor.GetIdGetter();
                ValueGetter<VBuffer<float>> getter = cursor.GetGetter<VBuffer<float>>(features);
                VBuffer<float> value = default;
                DataViewRowId row = default;
                while (cursor.MoveNext())
                {
                    id(ref row);
                    getter(ref value);
                    Agreement.SameBits(Expected[(int)row.Low], value.GetValues(), $"row {row.Low}");
                    rows++;
                }
            }
        }
        Assert.AreEqual(Few, rows);
    }

    [TestMethod]
    public void CreateEnumerable()
    {
        int i = 0;
        foreach (Digits.Normalized row in
            View.ML.Data.CreateEnumerable<Digits.Normalized>(Fitted.Transform(Data), reuseRowObject: true))
        {
            Agreement.SameBits<float>(Expected[i], row.Features, $"row {i}");
            i++;
        }
        Assert.AreEqual(Few, i);
    }

    [TestMethod]
    public void Preview()
    {
        DataDebuggerPreview preview = Fitted.Preview(Data, maxRows: 5), fitted =
            View.ML.Transforms.BatchNormalization("Features", "Pixels")
                .Preview(Data, maxRows: Few, maxTrainingRows: Few);
        Assert.AreEqual(5, preview.RowView.Length);
        Assert.AreEqual(Few, fitted.RowView.Length);
        foreach (DataDebuggerPreview shown in (DataDebuggerPreview[])[preview, fitted])
        {
            var column = shown.ColumnView.Single(column => column.Column.Name == "Features");
            for (int i = 0; i < column.Values.Length; i++)
                Agreement.SameBits<float>(
                    Expected[i], [.. ((VBuffer<float>)column.Values[i]).DenseValues()], $"row {i}");
        }
    }

    [TestMethod]
    public void A_column_that_is_not_asked_for_is_not_computed()
    {
        var view = new GeneratedView(3, 10, (_, _) => Assert.Fail("X was read."));
        IDataView output = Layers.Transformer(3).Transform(view);
        using DataViewRowCursor cursor = output.GetRowCursor([output.Schema["Counts"]]);
        while (cursor.MoveNext())
            Assert.IsFalse(cursor.IsColumnActive(output.Schema["Y"]));
        Assert.AreEqual(10, view.Read);
    }

    [TestMethod]
    public void Sixteen_threads_on_one_fitted_transformer()
    {
        string[] expected = Table.Values(Fitted.Transform(Data));
        var results = new string[16][];
        Thread[] threads = [.. Enumerable.Range(0, results.Length).Select(
            i => new Thread(() => results[i] = Table.Values(Fitted.Transform(Data))))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        foreach (string[] result in results)
            CollectionAssert.AreEqual(expected, result);
    }
}
