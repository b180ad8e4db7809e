using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>Fits that go on from a transformer or a state, and those that leave it as it is.</summary>
[TestClass]
public class ContinuedFitTests
{
    static readonly BatchNormalizationOptions Population =
        BatchNormalizationOptions.Keras with { MovingStatistics = MovingStatistics.Population };

    static readonly BatchNormalizationOptions Exponential = BatchNormalizationOptions.Keras with { Momentum = 0.9 };

    static readonly float[][] First = View.Floats(700, 4, seed: 1), Second = View.Floats(500, 4, seed: 2);

    static IEnumerable<object[]> Kinds =>
        [[Population], [Exponential], [Exponential with { MovingStatistics = MovingStatistics.Cumulative }],
            [Exponential with { Renorm = new() }]];

    [TestMethod]
    public void A_population_goes_on_to_that_of_both_data_sets()
    {
        BatchNormalizationEstimator estimator = Fits.Estimator(Population);
        BatchNormalizationState both = Fits.Fit(Fits.Vectors([.. First, .. Second]), Population);
        BatchNormalizationState actual =
            estimator.Fit(Fits.Vectors(Second), estimator.Fit(Fits.Vectors(First))).GetState("Y");
        Agreement.Within(1e-14, both.MovingMean, actual.MovingMean);
        Agreement.Within(1e-14, both.MovingVariance, actual.MovingVariance);
        Agreement.SameBits(both.GetPopulation()!.Count, actual.GetPopulation()!.Count);
    }

    [TestMethod]
    public void A_population_that_replaces_an_average_or_statistics_from_elsewhere_warns()
    {
        var context = new MLContext(1);
        List<string> warnings = Warnings.Of(context);
        BatchNormalizationEstimator exact = Fits.Estimator(options => options.Layer = Population, context);
        BatchNormalizationState second = Fits.Fit(Fits.Vectors(Second), Population);
        BatchNormalizationState elsewhere = new([1, 2, 3, 4], [4, 3, 2, 1], [1, 1, 1, 1], [0, 0, 0, 0]);
        foreach (BatchNormalizationTransformer before in (BatchNormalizationTransformer[])
            [
                Fits.Estimator(Exponential).Fit(Fits.Vectors(First)),
                View.ML.Transforms.BatchNormalization(
                    "Y", new SavedBatchNormalization(Exponential, elsewhere), trainable: true, "X")
                    .Fit(Fits.Vectors(First)),
            ])
        {
            Assert.AreEqual(
                second.MovingMean[0], exact.Fit(Fits.Vectors(Second), before).GetState("Y").MovingMean[0]);
            StringAssert.Contains(warnings.Single(), "Column 'Y'");
            StringAssert.Contains(warnings.Single(), "replace");
            warnings.Clear();
            exact.Fit(Fits.Vectors(Second), before.Freeze());
            StringAssert.Contains(warnings.Single(), "is frozen");
            warnings.Clear();
        }
        exact.Fit(Fits.Vectors(Second), exact.Fit(Fits.Vectors(First)));
        BatchNormalizationTransformer fresh =
            Fits.Estimator(options => options.Layer = Population with { Trainable = false }).Fit(Fits.Vectors(First));
        exact.Fit(Fits.Vectors(Second), fresh.Unfreeze());
        Assert.IsEmpty(warnings);
    }

    [TestMethod]
    public void An_average_goes_on_as_the_core_s_loop_does()
    {
        BatchNormalizationEstimator estimator = Fits.Estimator(Exponential, batchSize: 100);
        BatchNormalizationState expected = Fits.Loop(
            Exponential, Second, Enumerable.Repeat(100, 5),
            from: Fits.Loop(Exponential, First, Enumerable.Repeat(100, 7)));
        Assert.AreEqual(
            expected, estimator.Fit(Fits.Vectors(Second), estimator.Fit(Fits.Vectors(First))).GetState("Y"));
    }

    [TestMethod]
    public void Going_on_leaves_the_transformer_before_as_it_was()
    {
        BatchNormalizationTransformer before = Fits.Estimator(Population).Fit(Fits.Vectors(First));
        BatchNormalizationState state = before.GetState("Y");
        var copy = state.WithAffine(state.Gamma, state.Beta);
        Fits.Estimator(Population).Fit(Fits.Vectors(Second), before);
        before.FineTune(Fits.Vectors(Second));
        Assert.AreSame(state, before.GetState("Y"));
        Assert.AreEqual(copy, state);
    }

    [TestMethod]
    [DynamicData(
        nameof(Kinds),
        DynamicDataDisplayName = nameof(Fits.Name), DynamicDataDisplayNameDeclaringType = typeof(Fits))]
    public void What_is_not_trainable_keeps_every_bit_and_reads_no_data(BatchNormalizationOptions layer)
    {
        BatchNormalizationTransformer pretrained = Fits.Estimator(layer).Fit(Fits.Vectors(First));
        BatchNormalizationState state = pretrained.GetState("Y");
        var unread = new UnreadableView(Fits.Vectors(Second));
        TransformsCatalog catalog = View.ML.Transforms;
        foreach (BatchNormalizationTransformer frozen in (BatchNormalizationTransformer[])
            [
                catalog.BatchNormalization(pretrained, trainable: false).Fit(unread),
                catalog.BatchNormalization("Y", new SavedBatchNormalization(layer, state), trainable: false, "X")
                    .Fit(unread),
                pretrained.Freeze().FineTune(unread),
                Fits.Estimator(layer with { Trainable = false }).Fit(unread, pretrained),
                Fits.Estimator(layer with { UpdateStatistics = false }).Fit(unread, pretrained),
                Fits.Estimator(layer).Fit(unread, pretrained.Freeze()),
            ])
        {
            Assert.AreEqual(state, frozen.GetState("Y"));
        }
    }

    [TestMethod]
    [DynamicData(
        nameof(Kinds),
        DynamicDataDisplayName = nameof(Fits.Name), DynamicDataDisplayNameDeclaringType = typeof(Fits))]
    public void Unfrozen_a_transformer_fine_tunes_as_if_it_had_never_been_frozen(BatchNormalizationOptions layer)
    {
        BatchNormalizationTransformer fitted = Fits.Estimator(layer).Fit(Fits.Vectors(First));
        BatchNormalizationState expected = fitted.FineTune(Fits.Vectors(Second)).GetState("Y");
        Assert.AreNotEqual(expected, fitted.GetState("Y"));
        Assert.AreEqual(expected, fitted.Freeze().Unfreeze().FineTune(Fits.Vectors(Second)).GetState("Y"));
        Assert.AreEqual(expected, View.ML.Transforms.BatchNormalization(fitted.Freeze(), trainable: true)
            .Fit(Fits.Vectors(Second)).GetState("Y"));
        Assert.AreEqual(expected, Fits.Estimator(layer).Fit(Fits.Vectors(Second), fitted).GetState("Y"));
        var saved = new SavedBatchNormalization(layer, fitted.GetState("Y"));
        Assert.AreEqual(expected, View.ML.Transforms.BatchNormalization("Y", saved, trainable: true, "X")
            .Fit(Fits.Vectors(Second)).GetState("Y"));
    }

    [TestMethod]
    [DynamicData(
        nameof(Kinds),
        DynamicDataDisplayName = nameof(Fits.Name), DynamicDataDisplayNameDeclaringType = typeof(Fits))]
    public void A_loaded_transformer_fine_tunes_to_the_same_bits(BatchNormalizationOptions layer)
    {
        IDataView first = Fits.Vectors(First), second = Fits.Vectors(Second);
        BatchNormalizationTransformer fitted = Fits.Estimator(layer).Fit(first);
        var loaded = (BatchNormalizationTransformer)Persistence.Model.Reload(fitted, first.Schema);
        Persistence.Model.AssertSame(fitted.FineTune(second), loaded.FineTune(second));
    }

    [TestMethod]
    public void A_frozen_layer_stays_frozen_through_fitting_and_storage()
    {
        IDataView first = Fits.Vectors(First);
        BatchNormalizationTransformer frozen = Fits.Estimator(Population).Fit(first).Freeze();
        var loaded = (BatchNormalizationTransformer)Persistence.Model.Reload(frozen.FineTune(first), first.Schema);
        Assert.AreEqual(frozen.GetState("Y"), loaded.FineTune(new UnreadableView(first)).GetState("Y"));
    }

    [TestMethod]
    public void Only_columns_that_move_are_read()
    {
        IDataView view = Fits.Vectors(First);
        BatchNormalizationTransformer fitted = Fits.Estimator(Population).Fit(view);
        var mixed = new BatchNormalizationTransformer(
            View.ML, fitted.Freeze().Columns[0],
            Layers.Column(Exponential, BatchNormalization.Initialize(Exponential, 4), "Z"));
        BatchNormalizationTransformer next = mixed.FineTune(view);
        Assert.AreSame(fitted.GetState("Y"), next.GetState("Y"));
        Assert.AreEqual(Fits.Loop(Exponential, First, [256, 256, 188]), next.GetState("Z"));
    }

    [TestMethod]
    public void A_column_that_is_frozen_by_name_stays_while_the_other_moves()
    {
        BatchNormalizationTransformer fitted = Fits.Estimator(options =>
            options.Columns = [new InputOutputColumnPair("Y", "X"), new InputOutputColumnPair("Z", "X")])
            .Fit(Fits.Vectors(First));
        BatchNormalizationTransformer tuned = fitted.Freeze("Z").FineTune(Fits.Vectors(Second));
        Assert.AreEqual(fitted.GetState("Z"), tuned.GetState("Z"));
        Assert.AreEqual(fitted.FineTune(Fits.Vectors(Second)).GetState("Y"), tuned.GetState("Y"));
        Assert.AreNotEqual(fitted.GetState("Y"), tuned.GetState("Y"));
    }

    [TestMethod]
    public void Fresh_and_not_trainable_a_layer_has_its_initializers()
    {
        BatchNormalizationState state = View.ML.Transforms.BatchNormalization("Y", "X", trainable: false)
            .Fit(new UnreadableView(Fits.Vectors(First))).GetState("Y");
        Agreement.SameBits<double>([0, 0, 0, 0], state.MovingMean);
        Agreement.SameBits<double>([1, 1, 1, 1], state.MovingVariance);
        Assert.AreEqual(1, state.InitialWeight);
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void A_state_of_another_number_of_channels_is_a_schema_mismatch(bool trainable)
    {
        BatchNormalizationTransformer previous = Fits.Estimator(Population).Fit(Fits.Vectors(First));
        var unread = new UnreadableView(Fits.Vectors(View.Floats(5, 3)));
        foreach (Action fit in (Action[])
            [
                () => View.ML.Transforms.BatchNormalization(
                    "Y", new SavedBatchNormalization(Population, previous.GetState("Y")), trainable, "X").Fit(unread),
                () => View.ML.Transforms.BatchNormalization(previous, trainable).Fit(unread),
                () => Fits.Estimator(Population with { Trainable = trainable }).Fit(unread, previous),
            ])
        {
            var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(fit);
            StringAssert.Contains(error.Message, "input column 'X': expected 4 channels");
        }
    }

    [TestMethod]
    public void An_axis_from_the_end_is_that_of_the_fitted_shape_where_the_rows_have_lost_theirs()
    {
        float[][] rows = View.Floats(9, 12);
        BatchNormalizationOptions last = Population with { Axis = -1 };
        IDataView shaped = View.Vectors(View.Dense(rows), 2, 3, 2);
        BatchNormalizationTransformer previous = Fits.Estimator(last).Fit(shaped);
        BatchNormalizationState expected = Fits.Estimator(last).Fit(shaped, previous).GetState("Y");
        Assert.AreEqual(expected, Fits.Estimator(last).Fit(Fits.Vectors(rows), previous).GetState("Y"));
        IDataView one = View.Vectors(View.Dense(rows), 1, 2, 3, 2);
        Assert.AreEqual(expected, Fits.Estimator(last).Fit(one, previous).GetState("Y"));
    }

    [TestMethod]
    public void A_transformer_without_the_column_is_refused() =>
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Fits.Estimator(Population).Fit(
                new UnreadableView(Fits.Vectors(First)), Layers.Transformer(Layers.Column(4, output: "Other")))).Message,
            "'Y'");

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void A_transformer_whose_state_does_not_fit_the_options_is_refused_before_data_is_read(bool trainable)
    {
        BatchNormalizationTransformer previous = Fits.Estimator(Population with { Scale = false }).Fit(Fits.Vectors(First));
        foreach (Action action in (Action[])
            [
                () => Fits.Estimator(Population with { Trainable = trainable })
                    .Fit(new UnreadableView(Fits.Vectors(Second)), previous),
                () => View.ML.Transforms.BatchNormalization(previous, new BatchNormalizationEstimator.Options
                {
                    Columns = [new InputOutputColumnPair("Y", "X")],
                    Layer = Population with { Trainable = trainable },
                }),
            ])
        {
            var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(action);
            StringAssert.Contains(error.Message, "no Gamma");
            Assert.IsTrue(Runtime.Contracts.IsMarked(error), "The error is not ML.NET's.");
        }
    }

    [TestMethod]
    public void Data_without_rows_is_an_error()
    {
        var empty = new GeneratedView(4, 0, (_, _) => { });
        foreach (object[] kind in Kinds)
        {
            var error = Assert.ThrowsExactly<InvalidOperationException>(
                () => Fits.Fit(empty, (BatchNormalizationOptions)kind[0]));
            StringAssert.Contains(error.Message, "no rows");
        }
    }

    [TestMethod]
    public void One_row_has_no_sample_variance()
    {
        foreach (MovingStatistics kind in Enum.GetValues<MovingStatistics>())
        {
            var layer = BatchNormalizationOptions.Keras with
            {
                MovingStatistics = kind,
                VarianceConvention = VarianceConvention.Sample,
            };
            var error = Assert.ThrowsExactly<InvalidOperationException>(
                () => Fits.Fit(Fits.Vectors(View.Floats(1, 2)), layer));
            StringAssert.Contains(error.Message, "Column 'X'");
            StringAssert.Contains(error.Message, "needs two");
        }
    }
}
