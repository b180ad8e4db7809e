using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Errors;

/// <summary>The error of an option says which option it is, what it is, and what it must be.</summary>
[TestClass]
public class OptionMessageTests
{
    static IEnumerable<object[]> TrainerOptions =>
    [
        Trainer(options => options.Epochs = 0, "Epochs must be positive, not 0."),
        Trainer(options => options.BatchSize = -3, "BatchSize must be positive, not -3."),
        Trainer(options => options.NumberOfThreads = 0, "NumberOfThreads must be positive or null, not 0."),
        Trainer(
            options => options.GradientClipNorm = -0.5,
            "GradientClipNorm must be positive and finite, or null, not -0.5."),
        Trainer(
            options => (options.ValidationSplit, options.ValidationData) = (0.5, Blobs.View(new MLContext(1))),
            "ValidationSplit must be 0 where ValidationData is set."),
        Trainer(options => options.ValidationSplit = 1.5, "ValidationSplit must be at least 0 and below 1, not 1.5."),
        Trainer(options => options.EarlyStopping = new(), "EarlyStopping needs rows to validate with"),
        Trainer(
            options => options.Network = Network.Input(4).Dense(3),
            "NetworkFactory must be null where Network is set."),
        Trainer(options => options.Freeze = [""], "Freeze must be paths of layers"),
        Trainer(
            options => options.ClassWeights = [1, -1.5, 1], "ClassWeights must be finite and not negative, not -1.5."),
        Trainer(options => options.CheckpointPath = "", "CheckpointPath must be a path or null, not empty."),
        Trainer(options => options.ClassWeights = [1, 2], "one for each of the label's 3 classes, not 2."),
        Trainer(options => options.NetworkFactory = (_, _) => null!, "NetworkFactory must give a network, not null."),
        Trainer(
            options => (options.NetworkFactory, options.Network) = (null, Network.Input(4).Dense(2)),
            "The network must have 3 outputs, as the label asks for; it has 2."),
        Trainer(options => options.Freeze = ["nothing*"], "'nothing*' matches no layer; there are "),
    ];

    [TestMethod]
    [DynamicData(nameof(TrainerOptions))]
    public void A_trainer_s_option_is_told_with_its_value(
        Action<BatchNormNetworkMulticlassTrainer.Options> change, string text) =>
        Says(text, () => Blobs.Multiclass(View.ML, change).Fit(Blobs.View(View.ML)));

    [TestMethod]
    public void The_other_trainers_options_are_told_with_their_values()
    {
        Says(
            "ClassWeights must be two, for the negative and the positive rows, not 3.",
            () => Blobs.Binary(View.ML, options => options.ClassWeights = [1, 1, 1]));
        Says(
            "Loss must be the mean squared or absolute error, or Huber's, not SoftmaxCrossEntropyLoss.",
            () => Blobs.Regression(View.ML, options => options.Loss = Loss.SoftmaxCrossEntropy));
        Says(
            "The learningRate must be finite and not negative, not -1.5.",
            () => View.ML.Regression.Trainers.BatchNormNetwork(learningRate: -1.5));
        Says("The model has no network", () => Blobs.Multiclass(View.ML).Fit(
            Blobs.View(View.ML), View.ML.Transforms.BatchNormalization("Features").Fit(Blobs.View(View.ML))));
    }

    static IEnumerable<object[]> EstimatorOptions =>
    [
        Estimator(options => options.BatchSize = 0, "BatchSize must be positive, not 0."),
        Estimator(options => options.Epochs = -1, "Epochs must be positive, not -1."),
        Estimator(options => options.NumberOfThreads = 0, "NumberOfThreads must be positive or null, not 0."),
        Estimator(
            options => options.TrainDownstreamOn = (DownstreamStatistics)7, "TrainDownstreamOn must be ", "not 7."),
        Estimator(
            options => options.MaskColumnName = "", "MaskColumnName must be the name of a column or null, not empty."),
        Estimator(options => options.Columns = [null!], "Columns must not hold null."),
        Estimator(options => options.Columns = [new("Y", "")], "Columns must not have an input without a name."),
        Estimator(
            options => options.Columns = [new("Y", "X"), new("Y", "Z")],
            "Columns must have outputs of different names"),
        Estimator(
            options => options.Layer = new() { TrackMovingStatistics = false },
            "Layer must not have TrackMovingStatistics = false"),
        Estimator(
            options => options.Layer = new() { Renorm = new(), VirtualBatchSize = 4 },
            "Renorm and VirtualBatchSize (4) cannot be combined. (Parameter 'Layer')"),
    ];

    [TestMethod]
    [DynamicData(nameof(EstimatorOptions))]
    public void An_estimator_s_option_is_told_with_its_value(
        Action<BatchNormalizationEstimator.Options> change, params string[] texts)
    {
        var options = new BatchNormalizationEstimator.Options { Columns = [new InputOutputColumnPair("Y", "X")] };
        change(options);
        foreach (string text in texts)
            Says(text, () => View.ML.Transforms.BatchNormalization(options));
    }

    [TestMethod]
    public void A_value_out_of_range_stands_in_the_message_once()
    {
        string message = Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => BatchNormalizationOptions.Keras with { Momentum = 1.5 }).Message;
        Assert.AreEqual(2, message.Split("1.5").Length, message);
        StringAssert.Contains(message, "Momentum must be between 0 and 1, not 1.5. It is Keras's: PyTorch's is");
    }

    [TestMethod]
    public void A_state_or_path_that_does_not_fit_names_the_parameter_once()
    {
        SavedNetwork saved = new(Network.Input(4).Dense(3), Network.Input(4).Dense(3).Initialize());
        Says("The network has no layer 'x'", () => View.ML.Transforms.ApplyNetwork("Y", saved, "x", "Features"));
        Says("The state does not fit the network", () => View.ML.Transforms.ApplyNetwork(
            "Y", saved with { Network = Network.Input(4).Dense(2) }, null, "Features"));
        Says("the state has no Gamma", () => View.ML.Transforms.BatchNormalization(
            "Y", new SavedBatchNormalization(new(), Sample.State(new() { Scale = false }, 2)), trainable: true));
    }

    [TestMethod]
    public void A_pretrained_network_of_other_classes_is_told_with_the_plan_that_trains_a_new_head()
    {
        Network five = Network.Input(4).Dense(5, name: "five");
        Says(
            "The network to go on from has 5 outputs, and the label asks for 3. "
            + "Set FineTune = FineTune.HeadThenAll(...) to train a new head.",
            () => Blobs.Multiclass(View.ML, options => (options.NetworkFactory, options.Pretrained) =
                (null, new SavedNetwork(five, five.Initialize()))).Fit(Blobs.View(View.ML)));
    }

    [TestMethod]
    public void Pretrained_layers_that_do_not_match_are_listed_beside_the_network_s()
    {
        Network other = Network.Input(9).Dense(7, name: "base").BatchNormalization(name: "norm");
        Says(
            "It has 'base' (Dense from [9] to [7]), 'norm' (BatchNormalization from [7] to [7]); "
            + "the network has 'fc' (Dense from [4] to [3]).",
            () => Blobs.Multiclass(View.ML, options =>
            {
                options.Pretrained = new SavedNetwork(other, other.Initialize());
                options.NetworkFactory = (_, _) => Network.Input(4).Dense(3, name: "fc");
            }).Fit(Blobs.View(View.ML)));
    }

    static object[] Trainer(Action<BatchNormNetworkMulticlassTrainer.Options> change, string text) => [change, text];

    static object[] Estimator(Action<BatchNormalizationEstimator.Options> change, params string[] texts) =>
        [change, .. texts];

    static void Says(string text, Action action)
    {
        string message = Assert.Throws<ArgumentException>(action).Message;
        StringAssert.Contains(message, text);
        Assert.AreEqual(2, message.Split("(Parameter ").Length, message);
    }
}
