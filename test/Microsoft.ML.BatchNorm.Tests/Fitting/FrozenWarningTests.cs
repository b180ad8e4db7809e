using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>Whoever asks a frozen layer to move is told that it does not.</summary>
[TestClass]
public class FrozenWarningTests
{
    static readonly IDataView Rows = Fits.Vectors(View.Floats(200, 3));

    readonly MLContext context = new(1);

    [TestMethod]
    public void To_fine_tune_a_frozen_layer_is_a_warning_that_names_the_column()
    {
        BatchNormalizationTransformer fitted = context.Transforms.BatchNormalization(
            [new InputOutputColumnPair("Y", "X"), new InputOutputColumnPair("Z", "X")]).Fit(Rows);
        BatchNormalizationTransformer frozen = fitted.Freeze("Z");
        List<string> warnings = Warnings.Of(context);
        fitted.FineTune(Rows);
        Assert.IsEmpty(warnings);
        frozen.FineTune(Rows);
        StringAssert.Contains(warnings.Single(), "Column 'Z' is frozen");
        StringAssert.Contains(warnings.Single(), "Unfreeze(\"Z\")");
        warnings.Clear();
        fitted.Freeze().FineTune(Rows);
        Assert.HasCount(2, warnings);
        warnings.Clear();
        frozen.Unfreeze().FineTune(Rows);
        Assert.IsEmpty(warnings);
    }

    [TestMethod]
    public void So_it_is_for_an_estimator_that_goes_on_from_one()
    {
        BatchNormalizationEstimator estimator = context.Transforms.BatchNormalization("Y", "X");
        BatchNormalizationTransformer frozen = estimator.Fit(Rows).Freeze();
        List<string> warnings = Warnings.Of(context);
        estimator.Fit(Rows, frozen);
        StringAssert.Contains(warnings.Single(), "Column 'Y' is frozen");
        warnings.Clear();
        context.Transforms.BatchNormalization(
            frozen, new BatchNormalizationEstimator.Options { Columns = [new("Y", "X")] });
        StringAssert.Contains(warnings.Single(), "Column 'Y' is frozen");
    }

    [TestMethod]
    public void Statistics_that_an_option_holds_are_told_as_such()
    {
        BatchNormalizationTransformer fitted = Fits.Estimator(
            options => options.Layer = options.Layer with { UpdateStatistics = false }, context).Fit(Rows);
        List<string> warnings = Warnings.Of(context);
        fitted.FineTune(Rows);
        StringAssert.Contains(warnings.Single(), "UpdateStatistics off");
    }

    [TestMethod]
    public void A_layer_that_is_meant_to_stay_is_none()
    {
        BatchNormalizationTransformer fitted = context.Transforms.BatchNormalization("Y", "X").Fit(Rows);
        List<string> warnings = Warnings.Of(context);
        context.Transforms.BatchNormalization(fitted, trainable: false).Fit(Rows);
        context.Transforms.BatchNormalization(fitted.Freeze(), trainable: true).Fit(Rows);
        context.Transforms.BatchNormalization("Y", "X", trainable: false).Fit(Rows, fitted.Freeze());
        Assert.IsEmpty(warnings);
    }
}
