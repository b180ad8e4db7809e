using System.Globalization;
using System.IO.Compression;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Trainers;

namespace Microsoft.ML.BatchNorm.Tests.Trainers;

/// <summary>A trainer with no option said predicts well, and its numbers follow from the rows.</summary>
[TestClass]
public class DefaultTests
{
    const int Folds = 5;

    /// <summary>The bounds leave room for the seed; docs/defaults.md has the means over ten.</summary>
    [TestMethod]
    [DataRow("iris.csv", 0.93)]
    [DataRow("wine.csv", 0.94)]
    [DataRow("breast_cancer.csv", 0.95)]
    [DataRow("digits.csv.gz", 0.97)]
    public void Classes_of_held_out_rows_are_found(string file, double atLeast)
    {
        float[][] rows = Read(file);
        int classes = 1 + (int)rows.Max(row => row[^1]);
        double accuracy = CrossValidate(
            [.. rows.Select(row => new Row { Features = row[..^1], Class = (uint)row[^1], Value = row[^1] })], classes,
            context => context.MulticlassClassification.Trainers.BatchNormNetwork(nameof(Row.Class)),
            (context, scored) =>
                context.MulticlassClassification.Evaluate(scored, nameof(Row.Class)).MicroAccuracy);
        Assert.IsGreaterThan(atLeast, accuracy);
    }

    [TestMethod]
    [DataRow(200, 0.76)]
    [DataRow(1000, 0.92)]
    public void A_number_is_predicted_that_no_linear_model_can(int count, double atLeast)
    {
        double rSquared = CrossValidate(
            MakeFriedman(count), classes: 1,
            context => context.Regression.Trainers.BatchNormNetwork(nameof(Row.Value)),
            (context, scored) => context.Regression.Evaluate(scored, nameof(Row.Value)).RSquared);
        Assert.IsGreaterThan(atLeast, rSquared);
    }

    [TestMethod]
    [DataRow(1e6)]
    [DataRow(1e-6)]
    public void Features_of_any_scale_count(double scale)
    {
        Row[] rows = MakeFriedman(1000);
        foreach (Row row in rows)
            row.Features[3] = (float)(scale * row.Features[3]);
        Assert.IsGreaterThan(0.9, CrossValidate(
            rows, classes: 1,
            context => context.Regression.Trainers.BatchNormNetwork(nameof(Row.Value)),
            (context, scored) => context.Regression.Evaluate(scored, nameof(Row.Value)).RSquared));
    }

    [TestMethod]
    [DataRow(20, 100, 32)]
    [DataRow(800, 80, 32)]
    [DataRow(10_000, 20, 100)]
    [DataRow(25_600, 20, 256)]
    [DataRow(1_000_000, 10, 256)]
    public void Epochs_and_batch_size_follow_from_the_rows(int rows, int epochs, int batchSize)
    {
        TrainingOptions run = Run(new BatchNormNetworkRegressionTrainer.Options(), rows);
        Assert.AreEqual((epochs, batchSize), (run.Epochs, run.BatchSize));
        Assert.AreEqual(Optimizer.AdamW(0.02, 1), run.Optimizer);
        Assert.AreEqual(LearningRateSchedule.Cosine(), run.LearningRateSchedule);
    }

    [TestMethod]
    public void What_was_said_wins()
    {
        TrainingOptions run = Run(
            new BatchNormNetworkRegressionTrainer.Options
            {
                Epochs = 3, BatchSize = 7, Optimizer = Optimizer.Sgd(), LearningRate = 0.5,
                LearningRateSchedule = LearningRateSchedule.Constant,
            },
            800);
        Assert.AreEqual((3, 7), (run.Epochs, run.BatchSize));
        Assert.AreEqual(Optimizer.Sgd(0.5), run.Optimizer);
        Assert.AreEqual(LearningRateSchedule.Constant, run.LearningRateSchedule);
        Assert.AreEqual(
            Optimizer.AdamW(0.5, 1),
            Run(new BatchNormNetworkRegressionTrainer.Options { LearningRate = 0.5 }, 8).Optimizer);
    }

    [TestMethod]
    public void A_run_that_may_stop_early_keeps_a_small_constant_rate()
    {
        var options = new BatchNormNetworkRegressionTrainer.Options
        {
            EarlyStopping = new EarlyStopping(), ValidationSplit = 0.1,
        };
        TrainingOptions run = Run(options, 800);
        Assert.AreEqual(80, run.Epochs);
        Assert.AreEqual(Optimizer.Adam(), run.Optimizer);
        Assert.AreEqual(LearningRateSchedule.Constant, run.LearningRateSchedule);
    }

    [TestMethod]
    public void A_network_that_is_given_or_trained_already_keeps_the_numbers_of_Keras()
    {
        var context = new MLContext(1);
        IDataView rows = View(context, MakeFriedman(200), classes: 1);
        Network network = Network.Input(10).Dense(4).BatchNormalization().ReLU().Dense(1);
        RegressionPredictionTransformer<BatchNormNetworkRegressionModelParameters> Fit(
            BatchNormNetworkRegressionTrainer.Options options, ITransformer? previous = null)
        {
            (options.LabelColumnName, options.Seed) = (nameof(Row.Value), 5);
            var trainer = context.Regression.Trainers.BatchNormNetwork(options);
            return previous is null ? trainer.Fit(rows) : trainer.Fit(rows, previous);
        }
        BatchNormNetworkRegressionTrainer.Options Said() => new()
        {
            Epochs = 10, BatchSize = 32, Optimizer = Optimizer.Adam(0.001),
            LearningRateSchedule = LearningRateSchedule.Constant,
        };
        BatchNormNetworkRegressionTrainer.Options said = Said();
        said.Network = network;
        var given = Fit(new BatchNormNetworkRegressionTrainer.Options { Network = network });
        Assert.AreEqual(Fit(said).Model.State, given.Model.State);
        var first = Fit(new BatchNormNetworkRegressionTrainer.Options { Epochs = 1 });
        Assert.AreEqual(
            Fit(Said(), first).Model.State, Fit(new BatchNormNetworkRegressionTrainer.Options(), first).Model.State);
    }

    static TrainingOptions Run(BatchNormNetworkRegressionTrainer.Options options, int rows) =>
        options.ForDefaultNetwork(
            options.ForRun(((IHostEnvironment)new MLContext(1)).Register("Test"), options.Loss, []), rows);

    static double CrossValidate(
        Row[] rows, int classes, Func<MLContext, IEstimator<ITransformer>> trainer,
        Func<MLContext, IDataView, double> score)
    {
        new Random(1).Shuffle(rows);
        return Enumerable.Range(0, Folds).Average(fold =>
        {
            var context = new MLContext(fold);
            IDataView training = View(context, rows.Where((_, place) => place % Folds != fold), classes);
            IDataView held = View(context, rows.Where((_, place) => place % Folds == fold), classes);
            return score(context, trainer(context).Fit(training).Transform(held));
        });
    }

    static IDataView View(MLContext context, IEnumerable<Row> rows, int classes)
    {
        Row[] all = [.. rows];
        var schema = SchemaDefinition.Create(typeof(Row));
        schema[nameof(Row.Features)].ColumnType =
            new VectorDataViewType(NumberDataViewType.Single, all[0].Features.Length);
        schema[nameof(Row.Class)].ColumnType = new KeyDataViewType(typeof(uint), classes);
        return context.Data.LoadFromEnumerable(all, schema);
    }

    static float[][] Read(string file)
    {
        using FileStream packed = File.OpenRead(Path.Combine(AppContext.BaseDirectory, "data", file));
        bool isPacked = file.EndsWith(".gz", StringComparison.Ordinal);
        using var reader = new StreamReader(isPacked ? new GZipStream(packed, CompressionMode.Decompress) : packed);
        return [.. reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(isPacked ? 0 : 1)
            .Select(line => Array.ConvertAll(
                line.Split(','), text => float.Parse(text, CultureInfo.InvariantCulture)))];
    }

    /// <summary>Friedman's first function (1991), of ten features from 0 to 1, with noise of deviation 1.</summary>
    static Row[] MakeFriedman(int rows)
    {
        var random = new Random(3);
        double[] noise = Sample.Doubles(rows, seed: 4);
        return [.. Enumerable.Range(0, rows).Select(row =>
        {
            float[] x = [.. Enumerable.Range(0, 10).Select(_ => random.NextSingle())];
            return new Row
            {
                Features = x,
                Value = (float)(10 * Math.Sin(Math.PI * x[0] * x[1]) + 20 * (x[2] - 0.5) * (x[2] - 0.5) + 10 * x[3]
                    + 5 * x[4] + noise[row]),
            };
        })];
    }

    sealed class Row
    {
        public float[] Features { get; set; } = [];

        /// <summary>From 0: ML.NET adds the 1 of its keys when it reads the row.</summary>
        public uint Class { get; set; }

        public float Value { get; set; }
    }
}
