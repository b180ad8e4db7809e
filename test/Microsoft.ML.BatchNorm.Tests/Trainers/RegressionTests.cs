using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Tests.Trainers;

[TestClass]
public class RegressionTests
{
    [TestMethod]
    public void Its_model_is_evaluated()
    {
        var context = new MLContext(1);
        var model = Blobs.Regression(context).Fit(Blobs.View(context));
        RegressionMetrics metrics = context.Regression.Evaluate(
            model.Transform(Blobs.View(context, seed: 2)), labelColumnName: "Value");
        Assert.IsTrue(metrics.RSquared > 0.95, $"{metrics.RSquared}");
    }

    [TestMethod]
    public void Its_columns_are_those_of_ML_NET_s_own_regression()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        DataViewSchema expected =
            context.Regression.Trainers.Sdca("Value", maximumNumberOfIterations: 1).Fit(view).Transform(view).Schema;
        DataViewSchema actual =
            Blobs.Regression(context, options => options.Epochs = 1).Fit(view).Transform(view).Schema;
        CollectionAssert.AreEqual(
            expected.Select(column => $"{column.Name} {column.Type}").ToArray(),
            actual.Select(column => $"{column.Name} {column.Type}").ToArray());
    }

    [TestMethod]
    public void It_is_cross_validated()
    {
        var context = new MLContext(1);
        var folds = context.Regression.CrossValidate(
            Blobs.View(context), Blobs.Regression(context), numberOfFolds: 3, labelColumnName: "Value");
        foreach (var fold in folds)
            Assert.IsTrue(fold.Metrics.RSquared > 0.9, $"{fold.Metrics.RSquared}");
    }

    [TestMethod]
    public void Permutation_finds_the_features_that_matter()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        var model = Blobs.Regression(context).Fit(view);
        var importance = context.Regression.PermutationFeatureImportance(
            model, model.Transform(view), labelColumnName: "Value", permutationCount: 3);
        double[] changes = [.. importance.Select(metrics => metrics.RSquared.Mean)];
        Assert.IsTrue(changes[0] < -0.5, $"{changes[0]}");
        Assert.IsTrue(changes[1] < -0.1, $"{changes[1]}");
        Assert.AreEqual(0, changes[3], 0.05);
    }

    [TestMethod]
    public void Each_loss_of_a_difference_can_be_trained_on()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        foreach (Loss loss in (Loss[])[Loss.MeanSquaredError, Loss.MeanAbsoluteError, Loss.Huber()])
        {
            var model = Blobs.Regression(context, options => options.Loss = loss).Fit(view);
            double error = context.Regression.Evaluate(model.Transform(view), "Value").MeanAbsoluteError;
            Assert.IsTrue(error < 3, $"{loss}: {error}");
        }
    }
}
