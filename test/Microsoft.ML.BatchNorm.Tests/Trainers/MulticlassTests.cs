using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Tests.Trainers;

[TestClass]
public class MulticlassTests
{
    [TestMethod]
    public void Its_model_is_evaluated()
    {
        var context = new MLContext(1);
        var model = Blobs.Multiclass(context).Fit(Blobs.View(context));
        MulticlassClassificationMetrics metrics =
            context.MulticlassClassification.Evaluate(model.Transform(Blobs.View(context, seed: 2)));
        Assert.IsTrue(metrics.MicroAccuracy > 0.97, $"{metrics.MicroAccuracy:P1}");
        Assert.IsTrue(metrics.LogLoss < 0.1, $"{metrics.LogLoss}");
    }

    [TestMethod]
    [DataRow(DataKind.Byte)]
    [DataRow(DataKind.UInt16)]
    [DataRow(DataKind.UInt32)]
    [DataRow(DataKind.UInt64)]
    public void Its_label_is_a_key_of_any_type(DataKind kind)
    {
        var context = new MLContext(1);
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllLines(file, Enumerable.Range(0, 60).Select(
                row => FormattableString.Invariant($"{row % 3},{row % 3 + row / 100f},{row % 2}")));
            IDataView view = context.Data.CreateTextLoader(
                [new("Label", kind, [new(0)], new KeyCount(3)), new("Features", DataKind.Single, 1, 2)],
                separatorChar: ',').Load(file);
            var model = context.Transforms.BatchNormalization("Features").Append(
                context.MulticlassClassification.Trainers.BatchNormNetwork(epochs: 60, batchSize: 15, learningRate: 0.05)).Fit(view);
            Assert.AreEqual(1, context.MulticlassClassification.Evaluate(model.Transform(view)).MicroAccuracy);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [TestMethod]
    public void The_scores_are_probabilities_of_a_softmax()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        var model = Blobs.Multiclass(context).Fit(view);
        var network = new NetworkModel(model.Model.Network, model.Model.State);
        foreach ((float[] row, float[] scores) in
            view.Rows<float>("Features").Zip(model.Transform(view).Rows<float>("Score")))
        {
            float[] logits = new float[3];
            network.Predict(row, logits);
            double[] powers = Array.ConvertAll(logits, logit => Math.Exp(logit - logits.Max()));
            Agreement.Within(1e-6, Array.ConvertAll(powers, power => power / powers.Sum()), Sample.Widen(scores));
        }
    }

    [TestMethod]
    public void Its_columns_are_those_of_ML_NET_s_own_maximum_entropy()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        DataViewSchema expected =
            context.MulticlassClassification.Trainers.SdcaMaximumEntropy(maximumNumberOfIterations: 1).Fit(view)
                .Transform(view).Schema;
        DataViewSchema actual =
            Blobs.Multiclass(context, options => options.Epochs = 1).Fit(view).Transform(view).Schema;
        foreach (string name in (string[])["Score", "PredictedLabel"])
        {
            Assert.AreEqual(expected[name].Type, actual[name].Type, name);
            CollectionAssert.AreEqual(
                expected[name].Annotations.Schema.Select(column => column.Name).ToArray(),
                actual[name].Annotations.Schema.Select(column => column.Name).ToArray(), name);
        }
        CollectionAssert.AreEqual(Blobs.Names, KeyValues(actual["PredictedLabel"], "KeyValues"));
        CollectionAssert.AreEqual(Blobs.Names, KeyValues(actual["Score"], "SlotNames"));
        CollectionAssert.AreEqual(Blobs.Names, KeyValues(actual["Score"], "TrainingLabelValues"));
    }

    [TestMethod]
    public void The_predicted_label_maps_back_to_its_value()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        IDataView predicted = Blobs.Multiclass(context)
            .Append(context.Transforms.Conversion.MapKeyToValue("Named", "PredictedLabel"))
            .Fit(view).Transform(Blobs.View(context, seed: 2));
        string[] colors = [.. predicted.GetColumn<string>("Color")], named = [.. predicted.GetColumn<string>("Named")];
        Assert.IsTrue(colors.Zip(named).Count(pair => pair.First == pair.Second) > 0.97 * colors.Length);
    }

    [TestMethod]
    public void It_is_cross_validated()
    {
        var context = new MLContext(1);
        var folds = context.MulticlassClassification.CrossValidate(
            Blobs.View(context), Blobs.Multiclass(context), numberOfFolds: 3);
        Assert.AreEqual(3, folds.Count);
        foreach (var fold in folds)
            Assert.IsTrue(fold.Metrics.MicroAccuracy > 0.95, $"{fold.Metrics.MicroAccuracy:P1}");
    }

    [TestMethod]
    public void Permutation_finds_the_features_that_matter()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        var model = Blobs.Multiclass(context).Fit(view);
        var importance = context.MulticlassClassification.PermutationFeatureImportance(
            model, model.Transform(view), permutationCount: 3);
        double[] changes = [.. importance.Select(metrics => metrics.MicroAccuracy.Mean)];
        Assert.HasCount(Blobs.Slots, changes);
        Assert.IsTrue(changes[0] < -0.2, $"{changes[0]}");
        Assert.IsTrue(changes[1] < -0.05, $"{changes[1]}");
        Assert.AreEqual(0, changes[3], 0.03);
    }

    [TestMethod]
    public void Permutation_takes_a_chain_that_was_loaded()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.Plain(context);
        ITransformer loaded = Persistence.Model.Reload(
            context.Transforms.Concatenate("All", "Weight", "Features")
                .Append(Blobs.Multiclass(context, options => options.FeatureColumnName = "All")).Fit(view),
            view.Schema);
        var importance = context.MulticlassClassification.PermutationFeatureImportance(
            loaded, loaded.Transform(view), permutationCount: 2);
        Assert.IsTrue(importance["Slot 1"].MicroAccuracy.Mean < -0.2);
        Assert.AreEqual(0, importance["Weight"].MicroAccuracy.Mean, 0.03);
    }

    [TestMethod]
    public void A_prediction_engine_gives_the_scores_of_the_transformed_data()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        var model = Blobs.Multiclass(context, options => options.Epochs = 2).Fit(view);
        var engine = context.Model.CreatePredictionEngine<Blobs.Row, Predicted>(model);
        float[][] expected = model.Transform(view).Rows<float>("Score");
        Blobs.Row[] rows = Blobs.Rows();
        for (int i = 0; i < rows.Length; i++)
        {
            Predicted predicted = engine.Predict(rows[i]);
            Agreement.SameBits<float>(expected[i], predicted.Score);
            Assert.AreEqual(1u + (uint)Array.IndexOf(expected[i], expected[i].Max()), predicted.PredictedLabel);
        }
    }

    [TestMethod]
    public void Sparse_rows_give_the_scores_of_dense_ones()
    {
        var context = new MLContext(1);
        var model = Blobs.Multiclass(context, options => options.Epochs = 2).Fit(Blobs.View(context));
        IValueMapper mapper = model.Model;
        ValueMapper<VBuffer<float>, VBuffer<float>> map = mapper.GetMapper<VBuffer<float>, VBuffer<float>>();
        VBuffer<float> dense = new(4, [0, 2, 0, -1]), sparse = new(4, 2, [2, -1], [1, 3]);
        VBuffer<float> expected = default, actual = default;
        map(in dense, ref expected);
        map(in sparse, ref actual);
        Agreement.SameBits<float>(expected.GetValues(), actual.GetValues());
    }

    [TestMethod]
    public void A_row_is_predicted_without_allocating()
    {
        var context = new MLContext(1);
        IValueMapper mapper = Blobs.Multiclass(context, options => options.Epochs = 1).Fit(Blobs.View(context)).Model;
        ValueMapper<VBuffer<float>, VBuffer<float>> map = mapper.GetMapper<VBuffer<float>, VBuffer<float>>();
        VBuffer<float> features = new(4, [0, 2, 0, -1]), scores = default;
        map(in features, ref scores);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
            map(in features, ref scores);
        Assert.AreEqual(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [TestMethod]
    public void A_model_serves_any_number_of_threads()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        var model = Blobs.Multiclass(context, options => options.Epochs = 1).Fit(view);
        float[] expected = [.. model.Transform(view).Rows<float>("Score").SelectMany(row => row)];
        Parallel.For(0, 8, _ => Agreement.SameBits<float>(
            expected, [.. model.Transform(view).Rows<float>("Score").SelectMany(row => row)]));
    }

    [TestMethod]
    public void Weights_of_the_rows_count()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        NetworkState State(string? weights) => Blobs.Multiclass(context, options =>
            (options.ExampleWeightColumnName, options.Epochs) = (weights!, 1)).Fit(view).Model.State;
        Assert.AreNotEqual(State(null), State("Weight"));
        Assert.AreEqual(State("Weight"), State("Weight"));
    }

    [TestMethod]
    public void Weights_of_the_classes_count()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        var model = Blobs.Multiclass(context, options => options.ClassWeights = [0, 1, 1]).Fit(view);
        Assert.IsTrue(model.Transform(view).GetColumn<uint>("PredictedLabel").All(label => label != 1));
    }

    static string[] KeyValues(DataViewSchema.Column column, string kind)
    {
        VBuffer<ReadOnlyMemory<char>> values = default;
        column.Annotations.GetValue(kind, ref values);
        return [.. values.DenseValues().Select(value => value.ToString())];
    }

    public sealed class Predicted
    {
        public float[] Score { get; set; } = [];

        public uint PredictedLabel { get; set; }
    }
}
