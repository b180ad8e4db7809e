using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Calibrators;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;

namespace Microsoft.ML.BatchNorm.Tests.Trainers;

[TestClass]
public class BinaryTests
{
    [TestMethod]
    public void Its_model_is_evaluated_with_its_probabilities()
    {
        var context = new MLContext(1);
        var model = Blobs.Binary(context).Fit(Blobs.View(context));
        CalibratedBinaryClassificationMetrics metrics = context.BinaryClassification.Evaluate(
            model.Transform(Blobs.View(context, seed: 2)), labelColumnName: "IsRed");
        Assert.IsTrue(metrics.Accuracy > 0.96, $"{metrics.Accuracy:P1}");
        Assert.IsTrue(metrics.LogLoss < 0.2, $"{metrics.LogLoss}");
    }

    [TestMethod]
    public void The_probability_is_the_sigmoid_of_the_score()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        IDataView predicted = Blobs.Binary(context).Fit(view).Transform(view);
        double[] scores = [.. predicted.GetColumn<float>("Score").Select(score => (double)score)];
        Agreement.Within(
            1e-6, Array.ConvertAll(scores, score => 1 / (1 + Math.Exp(-score))),
            predicted.GetColumn<float>("Probability").Select(probability => (double)probability).ToArray());
        CollectionAssert.AreEqual(
            scores.Select(score => score > 0).ToArray(), predicted.GetColumn<bool>("PredictedLabel").ToArray());
    }

    [TestMethod]
    public void Its_columns_are_those_of_ML_NET_s_own_logistic_regression()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        DataViewSchema expected = context.BinaryClassification.Trainers.LbfgsLogisticRegression("IsRed").Fit(view)
            .Transform(view).Schema;
        DataViewSchema actual = Blobs.Binary(context, options => options.Epochs = 1).Fit(view).Transform(view).Schema;
        CollectionAssert.AreEqual(
            expected.Select(column => $"{column.Name} {column.Type}").ToArray(),
            actual.Select(column => $"{column.Name} {column.Type}").ToArray());
    }

    [TestMethod]
    public void It_is_cross_validated()
    {
        var context = new MLContext(1);
        var folds = context.BinaryClassification.CrossValidate(
            Blobs.View(context), Blobs.Binary(context), numberOfFolds: 3, labelColumnName: "IsRed");
        foreach (var fold in folds)
            Assert.IsTrue(fold.Metrics.Accuracy > 0.95, $"{fold.Metrics.Accuracy:P1}");
    }

    [TestMethod]
    public void Permutation_finds_the_features_that_matter()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        var model = Blobs.Binary(context).Fit(view);
        var importance = context.BinaryClassification.PermutationFeatureImportance(
            model, model.Transform(view), labelColumnName: "IsRed", permutationCount: 3);
        double[] changes = [.. importance.Select(metrics => metrics.AreaUnderRocCurve.Mean)];
        Assert.IsTrue(changes[0] < -0.1, $"{changes[0]}");
        Assert.AreEqual(0, changes[3], 0.03);
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void One_versus_all_makes_classes_of_it(bool useProbabilities)
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        var trainer = context.MulticlassClassification.Trainers.OneVersusAll(
            Blobs.Binary(context, options => options.LabelColumnName = "Label"), useProbabilities: useProbabilities);
        var model = trainer.Fit(view);
        double accuracy = context.MulticlassClassification.Evaluate(
            model.Transform(Blobs.View(context, seed: 2))).MicroAccuracy;
        Assert.IsTrue(accuracy > 0.95, $"{accuracy:P1}");
        ITransformer loaded = Persistence.Model.Reload(model, view.Schema);
        Agreement.SameBits<float>(
            [.. model.Transform(view).Rows<float>("Score").SelectMany(row => row)],
            [.. loaded.Transform(view).Rows<float>("Score").SelectMany(row => row)]);
    }

    [TestMethod]
    public void Pairwise_coupling_makes_classes_of_it()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        var model = context.MulticlassClassification.Trainers.PairwiseCoupling(
            Blobs.Binary(context, options => options.LabelColumnName = "Label")).Fit(view);
        double accuracy = context.MulticlassClassification.Evaluate(
            model.Transform(Blobs.View(context, seed: 2))).MicroAccuracy;
        Assert.IsTrue(accuracy > 0.95, $"{accuracy:P1}");
    }

    [TestMethod]
    public void Its_score_is_calibrated_anew()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        var model = Blobs.Binary(context)
            .Append(context.BinaryClassification.Calibrators.Platt("IsRed")).Fit(view);
        CalibratedBinaryClassificationMetrics metrics = context.BinaryClassification.Evaluate(
            model.Transform(Blobs.View(context, seed: 2)), labelColumnName: "IsRed");
        Assert.IsTrue(metrics.LogLoss < 0.25, $"{metrics.LogLoss}");
    }

    [TestMethod]
    public void A_loaded_model_is_of_the_same_type()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        var model = Blobs.Binary(context, options => options.Epochs = 1).Fit(view);
        var loaded = Persistence.Model.Reload(model, view.Schema);
        var transformer = (BinaryPredictionTransformer<
            CalibratedModelParametersBase<BatchNormNetworkBinaryModelParameters, PlattCalibrator>>)(
                loaded is IEnumerable<ITransformer> chain ? chain.Last() : loaded);
        Assert.AreEqual(model.Model.SubModel.State, transformer.Model.SubModel.State);
        Assert.AreEqual(model.Model.SubModel.Network, transformer.Model.SubModel.Network);
    }

    [TestMethod]
    public void Weights_of_the_classes_count()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        float Probability(params double[] weights) =>
            Blobs.Binary(context, options => (options.ClassWeights, options.Epochs) = (weights, 2)).Fit(view)
                .Transform(view).GetColumn<float>("Probability").Average();
        Assert.IsTrue(Probability(100, 1) < Probability(1, 1) - 0.05);
        Assert.IsTrue(Probability(1, 100) > Probability(1, 1) + 0.05);
    }
}
