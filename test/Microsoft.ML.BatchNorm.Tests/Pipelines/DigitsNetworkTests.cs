using Microsoft.ML.BatchNorm.Tests.Persistence;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Pipelines;

/// <summary>Networks on real data from a text file, inside ML.NET from the loader to the evaluation.</summary>
[TestClass]
public class DigitsNetworkTests
{
    static readonly MLContext context = new(1);

    static readonly DataOperationsCatalog.TrainTestData Split =
        context.Data.TrainTestSplit(Digits.Load(context), testFraction: 0.2, seed: 1);

    [TestMethod]
    public void A_small_dense_network_tells_the_digits_apart()
    {
        var model = Pipeline(options => options.Seed = 1).Fit(Split.TrainSet);
        AssertAccuracy(0.955, model.Transform(Split.TestSet));
    }

    [TestMethod]
    public void Convolutions_take_the_pixels_as_images()
    {
        var model = Pipeline(options =>
        {
            options.Network = Network.Input(1, 8, 8)
                .Conv2D(16, 3, padding: 1, useBias: false).BatchNormalization().ReLU().MaxPool2D()
                .Conv2D(32, 3, padding: 1, useBias: false).BatchNormalization().ReLU().MaxPool2D().Flatten()
                .Dense(10);
            options.Optimizer = Optimizer.Adam(0.01);
            options.LearningRateSchedule = LearningRateSchedule.Cosine();
            options.Epochs = 6;
            options.Seed = 1;
        }).Fit(Split.TrainSet);
        AssertAccuracy(0.975, model.Transform(Split.TestSet));
    }

    [TestMethod]
    public void The_whole_chain_loads_in_a_process_that_has_never_touched_the_library()
    {
        var model = Pipeline(options => (options.Seed, options.Epochs) = (1, 2)).Fit(Split.TrainSet);
        IDataView few = context.Data.TakeRows(Split.TestSet, 50);
        Agreement.SameBits<float>(
            [.. model.Transform(few).Rows<float>("Score").SelectMany(row => row)],
            [.. FreshProcess.Transform(model, few).Rows<float>("Score").SelectMany(row => row)]);
    }

    /// <summary>Five digits are learned first; the others come under a new head, from few rows.</summary>
    [TestMethod]
    public void What_was_learned_from_some_digits_helps_with_the_others()
    {
        IDataView low = Where(Split.TrainSet, 0, 5), high = Where(Split.TrainSet, 5, 10);
        var keys = context.Transforms.Conversion.MapValueToKey(
            "Label", keyOrdinality: ValueToKeyMappingEstimator.KeyOrdinality.ByValue);
        var first = Trainer(options => (options.Seed, options.Epochs) = (1, 10)).Fit(keys.Fit(low).Transform(low));
        IDataView few = context.Data.TakeRows(keys.Fit(high).Transform(high), 60);
        var second = Trainer(options => (options.Seed, options.FineTune, options.BatchSize) =
            (1, FineTune.HeadThenAll(30, 10, 0.01, 0.001), 16)).Fit(few, first);
        Assert.AreEqual(5, second.Model.NumberOfClasses);
        IDataView test = Where(Split.TestSet, 5, 10);
        double accuracy = context.MulticlassClassification.Evaluate(
            second.Transform(keys.Fit(high).Transform(test))).MicroAccuracy;
        Assert.IsTrue(accuracy > 0.8, $"{accuracy:P1}");
    }

    static IDataView Where(IDataView digits, int from, int below) =>
        context.Data.FilterRowsByColumn(digits, "Label", from, below);

    static EstimatorChain<MulticlassPredictionTransformer<BatchNormNetworkMulticlassModelParameters>> Pipeline(
        Action<BatchNormNetworkMulticlassTrainer.Options> change) =>
        context.Transforms.Conversion.MapValueToKey("Label").Append(Trainer(change));

    static BatchNormNetworkMulticlassTrainer Trainer(Action<BatchNormNetworkMulticlassTrainer.Options> change)
    {
        var options = new BatchNormNetworkMulticlassTrainer.Options { FeatureColumnName = "Pixels" };
        change(options);
        return context.MulticlassClassification.Trainers.BatchNormNetwork(options);
    }

    static void AssertAccuracy(double least, IDataView predicted)
    {
        double accuracy = context.MulticlassClassification.Evaluate(predicted).MicroAccuracy;
        Assert.IsTrue(accuracy > least, $"{accuracy:P2}");
    }
}
