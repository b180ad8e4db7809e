using Microsoft.ML.Data;
using Microsoft.ML.Trainers;
using MulticlassOptions = Microsoft.ML.Trainers.BatchNormNetworkMulticlassTrainer.Options;

namespace Microsoft.ML.BatchNorm.Tests.Trainers;

/// <summary>A training through ML.NET can be watched while it runs, and looked at afterwards.</summary>
[TestClass]
public class WatchedTrainingTests
{
    static readonly MLContext context = new(seed: 1);

    static readonly IDataView rows = Blobs.View(context), others = Blobs.View(context, count: 60, seed: 9);

    [TestMethod]
    public void Progress_is_reported_on_the_training_thread()
    {
        var reports = new Reports();
        Fit(new()
        {
            Epochs = 3, Progress = reports, ValidationData = others, LearningRate = 0.02,
            LearningRateSchedule = LearningRateSchedule.Constant,
        });

        Assert.IsTrue(reports.All.TrueForAll(one => one.Thread == Environment.CurrentManagedThreadId));
        TrainingProgress[] ends = [.. reports.All.Select(one => one.Value).Where(value => value.IsEndOfEpoch)];
        CollectionAssert.AreEqual(new[] { 1, 2, 3 }, ends.Select(value => value.Epoch).ToArray());
        foreach (TrainingProgress end in ends)
        {
            Assert.AreEqual(0.02, end.LearningRate);
            Assert.IsTrue(end.Loss > 0 && end.ValidationLoss > 0 && end.ValidationMetric > 0 && end.RowsPerSecond > 0);
            Assert.AreEqual(end.StepsPerEpoch, end.Step);
            Assert.IsNull(end.Metric);
        }
    }

    [TestMethod]
    public void The_result_has_history_outcome_and_names_and_makes_a_report()
    {
        BatchNormNetworkMulticlassModelParameters model = Fit(new()
        {
            Epochs = 4, ValidationData = others, EvaluateTrainingData = true, RecordStatistics = true,
        });

        TrainingResult result = model.TrainingResult!;
        Assert.AreEqual(4, result.History.Length);
        Assert.IsTrue(result.History.All(epoch => epoch.Metric > 0));
        Assert.IsFalse(result.StatisticsHistory.IsEmpty);
        Assert.AreEqual(60, result.Confusion.Sum(one => one.Rows));
        Assert.AreEqual(model.State, result.State);
        string page = TrainingReport.Of(result).ToHtml();
        Assert.IsTrue(result.ClassNames.All(name => page.Contains($"taken for {name}", StringComparison.Ordinal)));
    }

    [TestMethod]
    public void Names_of_the_classes_are_the_label_s_keys()
    {
        IDataView wines = context.Data.LoadFromEnumerable(
            from row in Enumerable.Range(0, 60)
            select new Wine { Kind = row % 2 == 0 ? "Barolo" : "Grignolino", Features = [row % 2 + row / 100f, 1] });
        var model = context.Transforms.Conversion.MapValueToKey("Label", "Kind")
            .Append(context.MulticlassClassification.Trainers.BatchNormNetwork(new MulticlassOptions { Epochs = 1 }))
            .Fit(wines);
        CollectionAssert.AreEqual(
            new[] { "Barolo", "Grignolino" }, model.LastTransformer.Model.TrainingResult!.ClassNames.ToArray());
    }

    [TestMethod]
    public void The_result_is_there_for_every_task_and_is_not_saved()
    {
        IDataView plain = Blobs.Plain(context);
        var binary = context.BinaryClassification.Trainers.BatchNormNetwork(epochs: 1).Fit(
            context.Transforms.CustomMapping<Classed, Flagged>(
                (from, to) => to.Label = from.Number > 0, contractName: null)
            .Fit(Numbers()).Transform(Numbers()));
        TrainingResult flagged = binary.Model.SubModel.TrainingResult!;
        Assert.AreEqual(1, flagged.History.Length);
        CollectionAssert.AreEqual(new[] { "false", "true" }, flagged.ClassNames.ToArray());
        var regression = context.Regression.Trainers.BatchNormNetwork("Number", epochs: 1).Fit(Numbers());
        Assert.AreEqual(1, regression.Model.TrainingResult!.History.Length);
        Assert.IsNotNull(plain);

        var stream = new MemoryStream();
        context.Model.Save(regression, plain.Schema, stream);
        stream.Position = 0;
        var loaded = (ISingleFeaturePredictionTransformer<object>)context.Model.Load(stream, out _);
        Assert.IsNull(((INetworkModelParameters)loaded.Model).TrainingResult);
    }

    [TestMethod]
    public void A_learning_rate_replaces_that_of_the_optimizer_and_nothing_else()
    {
        NetworkState named = Fit(new() { Epochs = 2, Optimizer = Optimizer.Adam(), LearningRate = 0.03 }).State;
        Assert.AreEqual(named, Fit(new() { Epochs = 2, Optimizer = Optimizer.Adam(0.03) }).State);
        Assert.AreEqual(
            Fit(new() { Epochs = 2, Optimizer = Optimizer.Sgd(0.1, momentum: 0.9) }).State,
            Fit(new() { Epochs = 2, Optimizer = Optimizer.Sgd(0.7, momentum: 0.9), LearningRate = 0.1 }).State);
    }

    [TestMethod]
    [DataRow(-0.1)]
    [DataRow(double.NaN)]
    public void A_learning_rate_out_of_range_is_an_error(double rate) => Assert.Contains(
        "LearningRate", Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => Fit(new() { LearningRate = rate })).Message);

    [TestMethod]
    public void A_learning_rate_beside_a_plan_is_an_error()
    {
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Fit(new()
        {
            LearningRate = 0.1, FineTune = FineTune.HeadThenAll(1, 1, 0.01, 0.001),
        }));
        Assert.Contains("each of its phases has a learning rate", error.Message);
    }

    [TestMethod]
    public void The_log_and_ML_NET_s_progress_go_on_beside_the_option()
    {
        var own = new MLContext(1);
        List<string> with = Messages.Of(own);
        Blobs.Multiclass(own, options => (options.Epochs, options.Progress) = (2, new Reports())).Fit(Blobs.View(own));
        Assert.AreEqual(2, with.Count(message => message.StartsWith("Epoch ", StringComparison.Ordinal)));
    }

    [TestMethod]
    public void Watching_changes_no_bit() => Assert.AreEqual(
        Fit(new() { Epochs = 3, ValidationData = others }).State,
        Fit(new()
        {
            Epochs = 3, ValidationData = others, Progress = new Reports(), EvaluateTrainingData = true,
            RecordStatistics = true,
        }).State);

    static BatchNormNetworkMulticlassModelParameters Fit(MulticlassOptions options)
    {
        options.Seed = 1;
        return context.MulticlassClassification.Trainers.BatchNormNetwork(options).Fit(rows).Model;
    }

    static IDataView Numbers() => context.Data.LoadFromEnumerable(
        from row in Enumerable.Range(0, 60)
        select new Classed { Number = row - 30, Features = [row, -row] });

    sealed class Classed
    {
        public float Number { get; set; }

        [VectorType(2)]
        public float[] Features { get; set; } = [];
    }

    sealed class Flagged
    {
        public bool Label { get; set; }
    }

    sealed class Wine
    {
        public string Kind { get; set; } = "";

        [VectorType(2)]
        public float[] Features { get; set; } = [];
    }

    sealed class Reports : IProgress<TrainingProgress>
    {
        public List<(TrainingProgress Value, int Thread)> All { get; } = [];

        public void Report(TrainingProgress value) => All.Add((value, Environment.CurrentManagedThreadId));
    }
}
