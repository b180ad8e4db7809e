using Microsoft.ML.Data;
using Microsoft.ML.Trainers;

namespace Microsoft.ML.BatchNorm.Tests.Trainers;

/// <summary>A regression label has any unit: prices in the hundred thousands, or fractions of a gram.</summary>
[TestClass]
public class LabelUnitTests
{
    const int Houses = 2000;

    static readonly MLContext context = new(1);

    [TestMethod]
    public void Prices_of_houses_are_predicted_as_well_as_by_trees()
    {
        DataOperationsCatalog.TrainTestData houses = Split(price => (float)price);
        double trees = RSquared(
            context.Regression.Trainers.FastTree("Price").Fit(houses.TrainSet).Transform(houses.TestSet));
        double network = RSquared(Trainer().Fit(houses.TrainSet).Transform(houses.TestSet));
        Assert.IsTrue(network > trees - 0.02, $"{network} against {trees}");
    }

    [TestMethod]
    [DataRow(1e5, 3e5)]
    [DataRow(1e-6, 0)]
    [DataRow(1, 1e4)]
    [DataRow(50, -7)]
    public void A_label_in_another_unit_is_predicted_as_well(double unit, double zero)
    {
        double plain = RSquared(Fit(price => Standard(price)));
        double other = RSquared(Fit(price => unit * Standard(price) + zero));
        Assert.IsTrue(plain > 0.9, $"{plain}");
        Assert.AreEqual(plain, other, 1e-3);
    }

    [TestMethod]
    [DataRow(5)]
    [DataRow(50_000)]
    public void Huber_s_delta_counts_in_the_label_s_unit(double delta)
    {
        double huber = RSquared(Fit(
            price => price, options => (options.Loss, options.Epochs) = (Loss.Huber(delta), 30)));
        Assert.IsTrue(huber > 0.95, $"{huber}");
    }

    [TestMethod]
    public void An_absolute_error_is_trained_on_in_any_unit() =>
        Assert.IsTrue(RSquared(Fit(price => price, options => options.Loss = Loss.MeanAbsoluteError)) > 0.95);

    [TestMethod]
    public void The_label_s_weighted_mean_and_deviation_are_those_of_the_rows_that_are_trained_on()
    {
        var data = new TrainingData(4, new float[4], new float[] { 10, 20, 60, 1000 }, new float[] { 1, 2, 1, 5 });
        TargetScale scale = TargetScale.Of(data, [0, 1, 2], isCentered: true);
        Assert.AreEqual(27.5, scale.Mean, 1e-12);
        Assert.AreEqual(Math.Sqrt((17.5 * 17.5 + 2 * 7.5 * 7.5 + 32.5 * 32.5) / 4), scale.Deviation, 1e-12);
        Assert.AreEqual(
            new TargetScale(0, Math.Sqrt((100 + 2 * 400 + 3600) / 4.0)),
            TargetScale.Of(data, [0, 1, 2], isCentered: false));
        Assert.AreEqual(new TargetScale(20, 1), TargetScale.Of(data, [1], isCentered: true));
    }

    [TestMethod]
    public void Losses_of_training_and_validation_are_in_the_label_s_unit()
    {
        (double Training, double Validation) plain = Losses(1), scaled = Losses(1e5);
        Assert.AreEqual(1e10, scaled.Training / plain.Training, 1e8);
        Assert.AreEqual(1e10, scaled.Validation / plain.Validation, 1e8);

        static (double Training, double Validation) Losses(double unit)
        {
            var progress = new List<(double Training, double Validation)>();
            var logged = new MLContext(1);
            logged.Log += (_, log) =>
            {
                if (log.Message.Split("loss ") is [_, var training, var validation])
                    progress.Add((Number(training), Number(validation)));
            };
            Trainer(logged, options => (options.ValidationSplit, options.Epochs) = (0.2, 10))
                .Fit(Split(price => unit * Standard(price)).TrainSet);
            Assert.AreEqual(10, progress.Count);
            return progress[^1];
        }

        static double Number(string text) => double.Parse(
            text.Split(',')[0], System.Globalization.CultureInfo.InvariantCulture);
    }

    [TestMethod]
    public void Continued_training_starts_from_the_model_that_is_given()
    {
        DataOperationsCatalog.TrainTestData houses = Split(price => price);
        var first = Trainer().Fit(houses.TrainSet);
        var second = Trainer(context, options => (options.Epochs, options.Optimizer) = (1, Optimizer.Adam(0)))
            .Fit(houses.TrainSet, first);
        float[] expected = Scores(first.Transform(houses.TestSet)), actual = Scores(second.Transform(houses.TestSet));
        for (int row = 0; row < expected.Length; row++)
            Assert.AreEqual(expected[row], actual[row], 1e-6 * Math.Abs(expected[row]));
        Assert.IsTrue(RSquared(Trainer().Fit(houses.TrainSet, first).Transform(houses.TestSet)) > 0.97);
    }

    [TestMethod]
    public void A_checkpoint_has_the_state_in_the_label_s_unit_and_is_not_resumed_on_labels_as_they_are()
    {
        string path = Path.GetTempFileName();
        try
        {
            var model = Trainer(context, options =>
                (options.CheckpointPath, options.RecomputeStatistics, options.Epochs) = (path, false, 2))
                .Fit(Split(price => price).TrainSet);
            using FileStream file = File.OpenRead(path);
            TrainingCheckpoint checkpoint = TrainingCheckpoint.Load(file);
            Assert.AreEqual(model.Model.State, checkpoint.State);
            int features = model.Model.Network.InputShape.Size;
            var error = Assert.ThrowsExactly<ArgumentException>(() => NetworkTrainer.Resume(
                checkpoint, new TrainingData(2, new float[2 * features], new float[2])));
            StringAssert.Contains(error.Message, "standardized labels");
        }
        finally
        {
            File.Delete(path);
        }
    }

    [TestMethod]
    public void A_frozen_head_keeps_every_bit()
    {
        DataOperationsCatalog.TrainTestData houses = Split(price => price);
        var first = Trainer().Fit(houses.TrainSet);
        string head = first.Model.Network.Nodes[^1].Path;
        var second = Trainer(context, options => options.Freeze = [head]).Fit(houses.TrainSet, first);
        Assert.AreEqual(first.Model.State[head], second.Model.State[head]);
        Assert.AreNotEqual(first.Model.State, second.Model.State);
    }

    [TestMethod]
    [DataRow(true, false)]
    [DataRow(false, true)]
    public void A_head_without_a_bias_or_before_a_ReLU_takes_in_the_scale_alone(bool isBiased, bool endsInReLU)
    {
        double rSquared = RSquared(Fit(price => price, options => options.NetworkFactory = (input, outputs) =>
        {
            Network network = Network.Input(input.Dimensions).BatchNormalization().Dense(64, useBias: false)
                .BatchNormalization().ReLU().Dense(outputs, isBiased);
            return endsInReLU ? network.ReLU() : network;
        }));
        Assert.IsTrue(rSquared > 0.9, $"{rSquared}");
    }

    [TestMethod]
    public void A_head_that_cannot_take_them_in_is_named_in_a_warning()
    {
        var logged = new MLContext(1);
        List<string> warnings = Warnings.Of(logged);
        Trainer(logged, options => options.NetworkFactory = (input, outputs) =>
            Network.Input(input.Dimensions).BatchNormalization().Dense(outputs).Tanh())
            .Fit(Split(price => 0.1 * Standard(price)).TrainSet);
        StringAssert.Contains(warnings.Single(), "trained on the labels as they are");
    }

    static IDataView Fit(
        Func<double, double> label, Action<BatchNormNetworkRegressionTrainer.Options>? change = null)
    {
        DataOperationsCatalog.TrainTestData houses = Split(label);
        return Trainer(context, change).Fit(houses.TrainSet).Transform(houses.TestSet);
    }

    static BatchNormNetworkRegressionTrainer Trainer(
        MLContext? context = null, Action<BatchNormNetworkRegressionTrainer.Options>? change = null)
    {
        var options = new BatchNormNetworkRegressionTrainer.Options { LabelColumnName = nameof(House.Price), Seed = 1 };
        change?.Invoke(options);
        return (context ?? LabelUnitTests.context).Regression.Trainers.BatchNormNetwork(options);
    }

    static double RSquared(IDataView scored) => context.Regression.Evaluate(scored, nameof(House.Price)).RSquared;

    static float[] Scores(IDataView scored) => [.. scored.GetColumn<float>("Score")];

    static double Standard(double price) => (price - 350_000) / 120_000;

    /// <summary>Area, rooms, age and one of four districts; prices from 100,000 to 650,000.</summary>
    static DataOperationsCatalog.TrainTestData Split(Func<double, double> label)
    {
        var random = new Random(1);
        House[] houses = [.. Enumerable.Range(0, Houses).Select(_ =>
        {
            double area = 40 + 160 * random.NextDouble(), age = 80 * random.NextDouble();
            int rooms = 1 + (int)(area / 35 + random.NextDouble()), district = random.Next(4);
            double price = 60_000 + 2200 * area + 6000 * rooms - 900 * age + 35_000 * district
                + 4000 * (random.NextDouble() - 0.5);
            float[] features = [(float)area, rooms, (float)age, 0, 0, 0, 0];
            features[3 + district] = 1;
            return new House { Features = features, Price = (float)label(price) };
        })];
        return new MLContext(1).Data.TrainTestSplit(context.Data.LoadFromEnumerable(houses), 0.2);
    }

    sealed class House
    {
        [VectorType(7)]
        public float[] Features { get; set; } = [];

        public float Price { get; set; }
    }
}
