using Microsoft.ML.Data;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Chains;

/// <summary>The batch normalization of a network in a chain is looked at, and adapted without labels.</summary>
[TestClass]
public class NetworkDiagnosisTests
{
    static readonly MLContext context = new(1);

    static readonly IDataView rows = Blobs.View(context);

    static readonly Network network = Network.Input(Features(rows, "Features")[0].Length)
        .Dense(8).BatchNormalization(name: "first").ReLU().Dense(8).BatchNormalization(name: "second").ReLU().Dense(3);

    static readonly MulticlassPredictionTransformer<BatchNormNetworkMulticlassModelParameters> trained =
        Blobs.Multiclass(context, options => options.Epochs = 4).Fit(rows);

    static IEnumerable<object[]> Models
    {
        get
        {
            ITransformer names =
                context.Transforms.Conversion.MapKeyToValue("PredictedLabel").Fit(trained.Transform(rows));
            ITransformer before = context.Transforms.CopyColumns("Other", "Features").Fit(rows);
            var usual = new TransformerChain<ITransformer>(before, trained, names);
            var nested = new TransformerChain<ITransformer>(
                new TransformerChain<ITransformer>(before, new TransformerChain<ITransformer>(trained)), names);
            yield return ["alone", trained];
            yield return ["usual", usual];
            yield return ["usual, loaded", Persistence.Model.Reload(usual, rows.Schema)];
            yield return ["nested", nested];
            yield return ["nested, loaded", Persistence.Model.Reload(nested, rows.Schema)];
        }
    }

    [TestMethod]
    [DynamicData(nameof(Models))]
    public void The_report_is_that_of_the_network_and_of_what_comes_to_it(string name, ITransformer model)
    {
        float[][] features = Features(rows, "Features");
        BatchNormalizationDiagnosis expected = BatchNormalizationDiagnosis.Of(
            trained.Model.Network, trained.Model.State, features.SelectMany(row => row).ToArray());

        BatchNormalizationDiagnosis actual = model.DiagnoseBatchNormalization(rows);

        Assert.AreEqual(expected.ToString(), actual.ToString(), name);
        Assert.AreEqual(actual.ToString(), context.Model.DiagnoseBatchNormalization(model, rows).ToString(), name);
    }

    [TestMethod]
    [DynamicData(nameof(Models))]
    public void The_whole_chain_comes_back_with_other_statistics(string name, ITransformer model)
    {
        IDataView moved = Moved(rows);

        ITransformer adapted = model.RecomputeBatchNormalization(moved);

        SavedNetwork before = model.GetNetwork(), after = adapted.GetNetwork();
        Assert.AreEqual(Chain.Shape(model), Chain.Shape(adapted), name);
        Assert.AreEqual(before.Network, after.Network);
        Assert.AreEqual(
            NetworkTrainer.RecomputeStatistics(
                before.Network, before.State, Features(moved, "Features").SelectMany(row => row).ToArray()),
            after.State, name);
        Assert.AreEqual(trained.Model.State, before.State);
        // What the transformer knows of the label's names stays.
        Assert.AreEqual(
            model.GetOutputSchema(rows.Schema).ToString(), adapted.GetOutputSchema(rows.Schema).ToString());
        ITransformer again = Persistence.Model.Reload(adapted, rows.Schema);
        Assert.AreEqual(after.State, again.GetNetwork().State);
        CollectionAssert.AreEqual(
            Features(adapted.Transform(moved), "Score")[0], Features(again.Transform(moved), "Score")[0]);
        Assert.AreEqual(
            after.State, context.Model.RecomputeBatchNormalization(model, moved).GetNetwork().State);
    }

    [TestMethod]
    public void With_labels_the_metric_is_that_of_the_chain()
    {
        MulticlassClassificationMetrics metrics = context.MulticlassClassification.Evaluate(trained.Transform(rows));

        BatchNormalizationDiagnosis diagnosis = trained.DiagnoseBatchNormalization(rows, labelColumnName: "Label");

        Assert.AreEqual(metrics.MicroAccuracy, diagnosis.Moving!.Metric, 1e-9);
        Assert.AreEqual(metrics.LogLoss, diagnosis.Moving.Loss, 1e-4);
    }

    [TestMethod]
    public void Binary_and_regression_models_and_applied_layers_are_adapted_too()
    {
        IDataView moved = Moved(rows);
        ITransformer[] models =
        [
            Blobs.Binary(context, options => options.Epochs = 2).Fit(rows),
            context.Regression.Trainers.BatchNormNetwork(
                new() { LabelColumnName = "Label", FeatureColumnName = "Features", Epochs = 2 })
                .Fit(context.Transforms.CopyColumns("Label", "Number").Fit(Numbers(rows)).Transform(Numbers(rows))),
            context.Transforms.ApplyNetwork("Part", trained, "re_lu", "Features").Fit(rows),
        ];
        foreach (ITransformer model in models)
        {
            ITransformer adapted = model.RecomputeBatchNormalization(moved, weight: 0.5);
            Assert.AreEqual(model.GetType(), adapted.GetType());
            Assert.AreEqual(1, model.DiagnoseBatchNormalization(moved).Layers.Sum(layer => layer.Share), 1e-6);
            Assert.IsLessThan(
                model.DiagnoseBatchNormalization(moved).OutputChange,
                adapted.DiagnoseBatchNormalization(moved).OutputChange);
        }
    }

    [TestMethod]
    public void Frozen_layers_stay_until_they_are_named()
    {
        ApplyNetworkTransformer frozen = context.Transforms.ApplyNetwork(
            "Part", new SavedNetwork(network.Freeze("first"), network.Initialize(1)), inputColumnName: "Features").Fit(rows);

        ApplyNetworkTransformer usual = frozen.RecomputeBatchNormalization(rows),
            named = frozen.RecomputeBatchNormalization(rows, layers: ["first"]);

        Assert.AreEqual(frozen.State["first"], usual.State["first"]);
        Assert.AreNotEqual(frozen.State["second"], usual.State["second"]);
        Assert.AreNotEqual(frozen.State["first"], named.State["first"]);
        Assert.AreEqual(frozen.State["second"], named.State["second"]);
        Assert.AreEqual(frozen.Network, named.Network);
    }

    [TestMethod]
    public void Training_rows_tell_rows_that_come_from_elsewhere()
    {
        IDataView moved = Moved(rows);

        Assert.AreEqual(
            NormalizationFault.OtherRows, trained.DiagnoseBatchNormalization(moved, trainingRows: rows).Fault);
        Assert.IsTrue(trained.DiagnoseBatchNormalization(rows, trainingRows: rows).IsHealthy);
    }

    [TestMethod]
    public void A_model_that_was_trained_here_knows_the_size_of_its_batches()
    {
        TransformerChain<MulticlassPredictionTransformer<BatchNormNetworkMulticlassModelParameters>> model =
            context.Transforms.CopyColumns("Copy", "Features").Append(
                context.MulticlassClassification.Trainers.BatchNormNetwork(new()
                {
                    Network = network.WithBatchNormalization(options => options with { Momentum = 0.9 }, "*"),
                    BatchSize = 2, Epochs = 4, RecomputeStatistics = false,
                })).Fit(rows);

        Assert.AreSame(model.LastTransformer.Model.TrainingResult, model.GetTrainingResult());
        Assert.AreEqual(
            NormalizationFault.SmallBatches, model.DiagnoseBatchNormalization(rows, trainingRows: rows).Fault);
        ITransformer loaded = Persistence.Model.Reload(model, rows.Schema);
        Assert.IsNull(loaded.GetTrainingResult());
        Assert.AreEqual(
            NormalizationFault.SmallBatches, loaded.DiagnoseBatchNormalization(
                rows, trainingRows: rows, options: new() { TrainingBatchSize = 2 }).Fault);
    }

    [TestMethod]
    public void A_column_that_is_missing_is_named()
    {
        StringAssert.Contains(
            Assert.Throws<ArgumentOutOfRangeException>(
                () => trained.DiagnoseBatchNormalization(rows, labelColumnName: "Lable")).Message,
            "Could not find label column 'Lable'");
        StringAssert.Contains(
            Assert.Throws<ArgumentOutOfRangeException>(() => trained.RecomputeBatchNormalization(
                context.Transforms.DropColumns("Features").Fit(rows).Transform(rows))).Message,
            "Could not find feature column 'Features'");
    }

    [TestMethod]
    public void A_call_for_layers_names_the_call_for_networks_and_the_other_way_round()
    {
        ITransformer layer = context.Transforms.BatchNormalization("Features").Fit(rows);

        Assert.Contains("RecomputeBatchNormalization", Assert.Throws<ArgumentException>(
            () => ((ITransformer)trained).FineTuneBatchNormalization(rows)).Message);
        Assert.Contains("CompareStatistics", Assert.Throws<ArgumentException>(
            () => layer.DiagnoseBatchNormalization(rows)).Message);
    }

    [TestMethod]
    public void A_model_without_a_network_is_an_error()
    {
        ITransformer copy = context.Transforms.CopyColumns("Other", "Features").Fit(rows);

        Assert.Contains(
            "has no network",
            Assert.Throws<ArgumentException>(() => copy.DiagnoseBatchNormalization(rows)).Message);
        Assert.Contains(
            "has 2 networks",
            Assert.Throws<ArgumentException>(() => new TransformerChain<ITransformer>(trained, trained)
                .RecomputeBatchNormalization(rows)).Message);
    }

    [TestMethod]
    public void Rows_that_cannot_be_looked_at_are_not_called_validation_data()
    {
        IDataView none = context.Data.FilterRowsByColumn(Numbers(rows), "Number", lowerBound: double.MaxValue);

        Exception diagnosed = Assert.Throws<InvalidOperationException>(() => trained.DiagnoseBatchNormalization(none)),
            adapted = Assert.Throws<InvalidOperationException>(() => trained.RecomputeBatchNormalization(none));

        Assert.AreEqual("The given data has no rows.", diagnosed.Message);
        Assert.AreEqual("The given data has no rows.", adapted.Message);
    }

    static IDataView Moved(IDataView from)
    {
        float[][] features = Features(from, "Features");
        return context.Data.LoadFromEnumerable(
            features.Select(row => new Row { Features = [.. row.Select(value => 3 * value + 5)] }),
            SchemaOf(features[0].Length));
    }

    static IDataView Numbers(IDataView from)
    {
        float[][] features = Features(from, "Features");
        return context.Data.LoadFromEnumerable(
            features.Select(row => new Row { Features = row, Number = row[0] }), SchemaOf(features[0].Length));
    }

    static SchemaDefinition SchemaOf(int length)
    {
        SchemaDefinition schema = SchemaDefinition.Create(typeof(Row));
        schema["Features"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, length);
        return schema;
    }

    static float[][] Features(IDataView from, string column) => [.. from.GetColumn<float[]>(column)];

    sealed class Row
    {
        public float[] Features { get; set; } = [];

        public float Number { get; set; }
    }
}
