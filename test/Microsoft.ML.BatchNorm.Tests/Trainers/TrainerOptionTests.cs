using System.Reflection;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Trainers;

namespace Microsoft.ML.BatchNorm.Tests.Trainers;

/// <summary>A wrong option is ML.NET's argument error and names the option; a good one does what it says.</summary>
[TestClass]
public class TrainerOptionTests
{
    static readonly IDataView Rows = Blobs.View(View.ML);

    static readonly Dictionary<string, Action<BatchNormNetworkMulticlassTrainer.Options>[]> wrong = new()
    {
        ["Epochs"] = [options => options.Epochs = 0],
        ["BatchSize"] = [options => options.BatchSize = 0],
        ["NumberOfThreads"] = [options => options.NumberOfThreads = 0],
        ["GradientClipNorm"] =
        [
            options => options.GradientClipNorm = 0, options => options.GradientClipNorm = double.NaN,
            options => options.GradientClipNorm = double.PositiveInfinity,
        ],
        ["ValidationSplit"] =
        [
            options => options.ValidationSplit = 1, options => options.ValidationSplit = -0.1,
            options => options.ValidationSplit = double.NaN,
        ],
        ["EarlyStopping"] = [options => options.EarlyStopping = new EarlyStopping()],
        ["NetworkFactory"] = [options => options.Network = Network.Input(4).Dense(3)],
        ["LearningRate"] =
        [
            options => options.LearningRate = -1, options => options.LearningRate = double.NaN,
        ],
        ["Freeze"] = [options => options.Freeze = null!, options => options.Freeze = [""]],
        ["ClassWeights"] =
        [
            options => options.ClassWeights = null!, options => options.ClassWeights = [1, -1, 1],
            options => options.ClassWeights = [1, double.NaN, 1],
        ],
        ["CheckpointPath"] = [options => options.CheckpointPath = ""],
        ["LabelColumnName"] = [options => options.LabelColumnName = "", options => options.LabelColumnName = null!],
        ["FeatureColumnName"] = [options => options.FeatureColumnName = ""],
    };

    static readonly Dictionary<string, Action<BatchNormNetworkMulticlassTrainer.Options>[]> wrongForTheData = new()
    {
        ["Network"] =
        [
            options => (options.NetworkFactory, options.Network) = (null, Network.Input(4).Dense(2)),
            options => options.NetworkFactory = (input, outputs) => Network.Input(4).Dense(outputs + 1),
            options => options.NetworkFactory = (input, outputs) => Network.Input(4)
                .BatchNormalization(BatchNormalizationOptions.Keras with { TrackMovingStatistics = false }).Dense(3),
        ],
        ["NetworkFactory"] = [options => options.NetworkFactory = (_, _) => null!],
        ["Freeze"] = [options => options.Freeze = ["nothing*"]],
        ["ClassWeights"] = [options => options.ClassWeights = [1, 1]],
        ["Pretrained"] =
        [
            options => options.Pretrained = new SavedNetwork(
                Network.Input(4).Dense(3), Network.Input(4).Dense(2).Initialize()),
            options => options.Pretrained = new SavedNetwork(
                Network.Input(9).Dense(9, name: "other"), Network.Input(9).Dense(9, name: "other").Initialize()),
        ],
        ["FineTune"] = [options => (options.NetworkFactory, options.Pretrained) = (null, new SavedNetwork(
            Network.Input(4).Dense(2), Network.Input(4).Dense(2).Initialize()))],
    };

    public static IEnumerable<object[]> Wrong => wrong.Keys.Select(name => new object[] { name });

    public static IEnumerable<object[]> WrongForTheData => wrongForTheData.Keys.Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(Wrong))]
    public void A_wrong_option_is_an_argument_error_at_once(string name)
    {
        foreach (Action<BatchNormNetworkMulticlassTrainer.Options> change in wrong[name])
            AssertNames(name, () => Blobs.Multiclass(View.ML, change));
    }

    [TestMethod]
    [DynamicData(nameof(WrongForTheData))]
    public void An_option_that_does_not_fit_the_data_is_an_argument_error_before_any_row_is_read(string name)
    {
        var unread = new Estimator.UnreadableView(Rows);
        foreach (Action<BatchNormNetworkMulticlassTrainer.Options> change in wrongForTheData[name])
            AssertNames(name, () => Blobs.Multiclass(View.ML, change).Fit(unread));
    }

    [TestMethod]
    public void The_other_trainers_check_what_is_their_own()
    {
        AssertNames("ClassWeights", () => Blobs.Binary(View.ML, options => options.ClassWeights = [1, 1, 1]));
        AssertNames("Loss", () => Blobs.Regression(View.ML, options => options.Loss = Loss.SoftmaxCrossEntropy));
        AssertNames("Loss", () => Blobs.Regression(View.ML, options => options.Loss = null!));
        AssertNames("learningRate", () => View.ML.Regression.Trainers.BatchNormNetwork(learningRate: -1));
        AssertNames("epochs", () => View.ML.BinaryClassification.Trainers.BatchNormNetwork(epochs: 0));
        Assert.ThrowsExactly<ArgumentNullException>(() => View.ML.Regression.Trainers.BatchNormNetwork(options: null!));
    }

    [TestMethod]
    public void A_network_of_another_size_than_the_features_is_a_schema_mismatch()
    {
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Blobs.Multiclass(
            View.ML, options => options.NetworkFactory = (_, _) => Network.Input(5).Dense(3)).Fit(Rows));
        StringAssert.Contains(error.Message, "column 'Features'");
        StringAssert.Contains(error.Message, "Vector<Single, 5>");
    }

    [TestMethod]
    public void The_plain_overloads_train_a_small_network_with_batch_normalization()
    {
        var context = new MLContext(1);
        Network network = context.MulticlassClassification.Trainers.BatchNormNetwork(
            network: null, epochs: 1, batchSize: 50, learningRate: 0.01).Fit(Rows).Model.Network;
        CollectionAssert.AreEqual(
            new[] { "batch_normalization", "dense", "batch_normalization_1", "re_lu", "dense_1" },
            network.Nodes.Select(node => node.Path).ToArray());
        Assert.AreEqual(3, network.OutputShape.Size);
        Assert.AreEqual(1, context.Regression.Trainers.BatchNormNetwork("Value", epochs: 1).Fit(Rows).Model
            .Network.OutputShape.Size);
        Assert.AreEqual(1, context.BinaryClassification.Trainers.BatchNormNetwork("IsRed", epochs: 1).Fit(Rows).Model
            .SubModel.Network.OutputShape.Size);
    }

    [TestMethod]
    public void The_columns_dimensions_are_the_shape_that_a_network_is_made_for()
    {
        IDataView images = Images.View();
        TensorShape? seen = null;
        var model = View.ML.MulticlassClassification.Trainers.BatchNormNetwork(
            new BatchNormNetworkMulticlassTrainer.Options
            {
                FeatureColumnName = "X",
                Epochs = 2,
                NetworkFactory = (input, outputs) =>
                {
                    seen = input;
                    return Network.Input(input.Dimensions)
                        .Conv2D(4, 3, useBias: false).BatchNormalization().ReLU().GlobalAveragePool2D().Dense(outputs);
                },
            }).Fit(images);
        Assert.AreEqual(new TensorShape(2, 5, 4), seen);
        Assert.AreEqual("Vector<Single, 2, 5, 4>", ((IValueMapper)model.Model).InputType.ToString());
        Assert.AreEqual("flatten", View.ML.MulticlassClassification.Trainers.BatchNormNetwork(
            featureColumnName: "X", epochs: 1).Fit(images).Model.Network.Nodes[0].Path);
    }

    [TestMethod]
    public void The_same_seed_gives_the_same_bits_on_any_number_of_threads()
    {
        NetworkState State(int? seed, int threads, int context = 1) => Blobs.Multiclass(
            new MLContext(context),
            options => (options.Seed, options.NumberOfThreads) = (seed, threads)).Fit(Rows).Model.State;
        Assert.AreEqual(State(3, 1), State(3, 3));
        Assert.AreNotEqual(State(3, 1), State(4, 1));
        Assert.AreEqual(State(null, 1), State(null, 1), "The context's seed gives the trainer's.");
        Assert.AreNotEqual(State(null, 1), State(null, 1, context: 2));
    }

    [TestMethod]
    public void Every_option_reaches_the_run()
    {
        Network network = Network.Input(4).Dense(6).BatchNormalization().Dropout(0.2).ReLU().Dense(3);
        var run = new TrainingOptions
        {
            Optimizer = Optimizer.Sgd(0.1, momentum: 0.9, nesterov: true),
            LearningRateSchedule = LearningRateSchedule.Cosine(0.1).WithWarmUp(1),
            Epochs = 4,
            BatchSize = 17,
            Shuffle = false,
            Seed = 21,
            GradientClipNorm = 0.5,
            ClassWeights = [1, 2, 3],
            ValidationSplit = 0.25,
            EarlyStopping = new EarlyStopping { Patience = 1 },
            RecomputeStatistics = true,
        };
        Blobs.Row[] rows = Blobs.Rows();
        var data = new TrainingData(
            rows.Length, (float[])[.. rows.SelectMany(row => row.Features)],
            Array.ConvertAll(rows, row => (float)Array.IndexOf(Blobs.Names, row.Color)),
            Array.ConvertAll(rows, row => row.Weight));
        NetworkState expected = NetworkTrainer.Train(network, network.Initialize(21), data, run).State;

        var model = Blobs.Multiclass(View.ML, options =>
        {
            (options.Network, options.NetworkFactory) = (network, null);
            options.ExampleWeightColumnName = "Weight";
            options.Optimizer = run.Optimizer;
            options.LearningRateSchedule = run.LearningRateSchedule;
            (options.Epochs, options.BatchSize, options.Shuffle, options.Seed) = (4, 17, false, 21);
            (options.GradientClipNorm, options.ClassWeights) = (0.5, [1, 2, 3]);
            (options.ValidationSplit, options.EarlyStopping) = (0.25, run.EarlyStopping);
            options.RecomputeStatistics = true;
        }).Fit(Rows);
        Assert.AreEqual(expected, model.Model.State);
        Assert.AreEqual(network, model.Model.Network);
    }

    /// <summary>A new option of a run is an error here until a trainer passes it on, or it is named below.</summary>
    [TestMethod]
    public void A_trainer_passes_on_every_option_of_a_run_that_it_has()
    {
        string[] notOptions =
        [
            nameof(TrainingOptions.Loss), nameof(TrainingOptions.ClassWeights), nameof(TrainingOptions.Seed),
            "StandardizesTargets", nameof(TrainingOptions.EvaluateTrainingData),
            nameof(TrainingOptions.RecordStatistics),
        ];
        var options = new BatchNormNetworkRegressionTrainer.Options();
        IHost host = ((IHostEnvironment)new MLContext(1)).Register("Test");
        PropertyInfo[] ofRun = [.. typeof(TrainingOptions)
            .GetProperties(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
            .Where(property => property.CanWrite && !notOptions.Contains(property.Name))];
        Assert.HasCount(10, ofRun);
        foreach (PropertyInfo property in ofRun)
        {
            PropertyInfo ofTrainer = typeof(BatchNormNetworkTrainerOptions).GetProperty(property.Name)!;
            Assert.AreEqual(Plain(property.PropertyType), Plain(ofTrainer.PropertyType), property.Name);
            ofTrainer.SetValue(options, Other(ofTrainer.GetValue(options), property.PropertyType));
        }
        TrainingOptions run = options.ForRun(host, Loss.Huber(2), [1, 2]);
        foreach (PropertyInfo property in ofRun)
        {
            object? expected = typeof(BatchNormNetworkTrainerOptions).GetProperty(property.Name)!.GetValue(options);
            Assert.AreEqual(expected, property.GetValue(run), property.Name);
        }
        Assert.AreEqual(Loss.Huber(2), run.Loss);
        CollectionAssert.AreEqual(new double[] { 1, 2 }, run.ClassWeights.ToArray());

        static Type Plain(Type type) => Nullable.GetUnderlyingType(type) ?? type;

        static object Other(object? value, Type type) => value switch
        {
            bool flag => !flag,
            _ when type == typeof(int) => 7,
            _ when type == typeof(Optimizer) => Optimizer.Sgd(),
            _ when type == typeof(LearningRateSchedule) => LearningRateSchedule.Cosine(),
            _ when type == typeof(string) => "checkpoint",
            _ when type == typeof(EarlyStopping) => new EarlyStopping(),
            _ => 0.5,
        };
    }

    [TestMethod]
    public void A_trainer_keeps_the_options_that_it_was_made_with()
    {
        BatchNormNetworkMulticlassTrainer.Options? kept = null;
        var trainer = Blobs.Multiclass(View.ML, options => (kept = options).Epochs = 1);
        NetworkState expected = trainer.Fit(Rows).Model.State;
        (kept!.Seed, kept.Epochs, kept.ClassWeights, kept.NetworkFactory) = (99, 9, [0, 0, 1], null);
        Assert.AreEqual(expected, trainer.Fit(Rows).Model.State);
    }

    static void AssertNames(string name, Action action)
    {
        var error = Assert.Throws<ArgumentException>(action);
        Assert.AreEqual(name, error.ParamName, ignoreCase: true);
        Assert.IsFalse(error.Message.StartsWith("Must", StringComparison.Ordinal), error.Message);
        Assert.AreEqual(2, error.Message.Split("(Parameter ").Length, error.Message);
        Assert.IsTrue(error.IsMarked(), "The error is not ML.NET's.");
    }
}
