using Microsoft.ML.BatchNorm.Tests.Fitting;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Estimator;

/// <summary>What the estimator fills in where nobody says an option.</summary>
[TestClass]
public class UnsaidOptionTests
{
    static readonly BatchNormalizationOptions keras = BatchNormalizationOptions.Keras with { Axis = 1 };
    static readonly float[][] rows = View.Floats(300, 4);
    static readonly IDataView view = Fits.Vectors(rows);

    [TestMethod]
    public void Unsaid_statistics_are_exact_without_epsilon_whatever_else_is_said()
    {
        BatchNormalizationOptions exact =
            keras with { MovingStatistics = MovingStatistics.Population, Epsilon = 0 };
        Assert.AreEqual(exact, Fitted(new()));
        Assert.AreEqual(exact with { NonFinite = NonFinite.Ignore }, Fitted(new() { NonFinite = NonFinite.Ignore }));
        Assert.AreEqual(exact with { Epsilon = 0.5 }, Fitted(new() { Epsilon = 0.5 }));
        Assert.AreEqual(
            exact with { VarianceConvention = VarianceConvention.Sample },
            Fitted(new() { VarianceConvention = VarianceConvention.Sample }));
        BatchNormalizationState state = Fits.Fit(view, new BatchNormalizationOptions { NonFinite = NonFinite.Ignore });
        Assert.AreEqual(0.0, state.InitialWeight);
        Assert.AreEqual(rows.Average(row => (double)row[2]), state.MovingMean[2], 1e-12);
    }

    [TestMethod]
    public void A_momentum_asks_for_the_average_that_it_belongs_to()
    {
        Assert.AreEqual(keras with { Momentum = 0.5 }, Fitted(new() { Momentum = 0.5 }));
        Assert.AreEqual(keras with { Momentum = 0.9 }, Fitted(keras with { Momentum = 0.9 }));
        Assert.AreEqual(keras with { Renorm = new() }, Fitted(new() { Renorm = new() }));
        Assert.AreEqual(
            keras with { MovingStatistics = MovingStatistics.Cumulative },
            Fitted(new() { MovingStatistics = MovingStatistics.Cumulative }));
    }

    [TestMethod]
    public void The_short_overloads_take_exact_statistics_or_with_a_momentum_the_average()
    {
        TransformsCatalog catalog = View.ML.Transforms;
        InputOutputColumnPair[] pairs = [new("Y", "X")];
        BatchNormalizationOptions exact = Fitted(new());
        Assert.AreEqual(exact, Options(catalog.BatchNormalization("Y", "X")));
        Assert.AreEqual(exact, Options(catalog.BatchNormalization(pairs)));
        Assert.AreEqual(exact with { Epsilon = 0.25 }, Options(catalog.BatchNormalization("Y", "X", epsilon: 0.25)));
        Assert.AreEqual(keras with { Momentum = 0.5 }, Options(catalog.BatchNormalization("Y", "X", momentum: 0.5)));
        Assert.AreEqual(keras with { Momentum = 0.5 }, Options(catalog.BatchNormalization(pairs, momentum: 0.5)));
        Assert.AreEqual(
            keras with { Momentum = 0.5, Epsilon = 0.25 },
            Options(catalog.BatchNormalization("Y", "X", momentum: 0.5, epsilon: 0.25)));
        Assert.AreEqual(
            Fits.Loop(keras with { Momentum = 0.5 }, rows, [256, 44]),
            catalog.BatchNormalization("Y", "X", momentum: 0.5).Fit(view).GetState("Y"));
    }

    [TestMethod]
    public void Going_on_from_a_transformer_leaves_what_is_unsaid_as_it_was_there()
    {
        BatchNormalizationOptions before = BatchNormalizationOptions.PyTorch with { Epsilon = 0.125 };
        BatchNormalizationTransformer fitted = Fits.Estimator(before).Fit(view);
        Assert.AreEqual(
            before with { NonFinite = NonFinite.Ignore, Axis = 1 },
            Fits.Estimator(new BatchNormalizationOptions { NonFinite = NonFinite.Ignore })
                .Fit(view, fitted).Columns[0].Options);
        BatchNormalizationEstimator.Options options = new()
        {
            Columns = [new("Y", "X")],
            Layer = new() { Momentum = 0.75 },
        };
        Assert.AreEqual(
            before with { Momentum = 0.75, Axis = 1 },
            View.ML.Transforms.BatchNormalization(fitted, options).Fit(view).Columns[0].Options);
    }

    [TestMethod]
    public void A_state_comes_with_options_that_say_epsilon()
    {
        BatchNormalizationState known = new([0.5, 0.5, 0.5, 0.5], [1e-4, 1e-2, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]);
        BatchNormalizationState exact = Fits.Fit(view, new BatchNormalizationOptions());
        foreach (BatchNormalizationState state in (BatchNormalizationState[])[known, exact])
            StringAssert.Contains(
                Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Frozen(new() { Momentum = 0.5 }, state)).Message,
                "The options must say Epsilon");
        Assert.AreEqual(
            BatchNormalizationOptions.PyTorch with { Trainable = false, Axis = 1 },
            Options(Frozen(BatchNormalizationOptions.PyTorch, known)));
        Assert.AreEqual(
            Fitted(new()) with { Trainable = false, Epsilon = 0.25 }, Options(Frozen(new() { Epsilon = 0.25 }, exact)));

        static BatchNormalizationEstimator Frozen(BatchNormalizationOptions layer, BatchNormalizationState state) =>
            View.ML.Transforms.BatchNormalization(
                "Y", new SavedBatchNormalization(layer, state), trainable: false, "X");
    }

    [TestMethod]
    public void A_layer_that_cannot_be_fitted_and_has_no_state_is_told()
    {
        var context = new MLContext(1);
        List<string> warnings = Warnings.Of(context);
        context.Transforms.BatchNormalization("Y", "X", trainable: false).Fit(view);
        StringAssert.Contains(warnings.Single(), "'Y' is not trainable and has no pretrained state");
    }

    [TestMethod]
    public void Going_on_from_exact_statistics_as_an_average_takes_the_average_s_epsilon()
    {
        BatchNormalizationTransformer exact = Fits.Estimator(new BatchNormalizationOptions()).Fit(view);
        Assert.AreEqual(
            keras with { Momentum = 0.5 },
            Fits.Estimator(new BatchNormalizationOptions { Momentum = 0.5 }).Fit(view, exact).Columns[0].Options);
        Assert.AreEqual(
            0, Fits.Estimator(new BatchNormalizationOptions { Momentum = 0.5 }).Fit(view, exact.Freeze())
                .Columns[0].Options.Epsilon);
        BatchNormalizationTransformer said = Fits.Estimator(
            new BatchNormalizationOptions { MovingStatistics = MovingStatistics.Cumulative, Epsilon = 0 }).Fit(view);
        Assert.AreEqual(
            0, Fits.Estimator(new BatchNormalizationOptions { MovingStatistics = MovingStatistics.Exponential })
                .Fit(view, said).Columns[0].Options.Epsilon);
    }

    static BatchNormalizationOptions Fitted(BatchNormalizationOptions layer) => Options(Fits.Estimator(layer));

    static BatchNormalizationOptions Options(BatchNormalizationEstimator estimator) =>
        estimator.Fit(view).Columns[0].Options;
}
