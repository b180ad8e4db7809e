using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Estimator;

/// <summary>Every overload in the catalog, over every kind of column, keeps ML.NET's contract of estimators.</summary>
[TestClass]
public class CatalogContractTests
{
    static readonly TransformsCatalog Catalog = View.ML.Transforms;

    static readonly IDataView Singles = Rows(50, 1), More = Rows(7, 2);

    /// <summary>No column X, or one that batch normalization cannot take.</summary>
    static readonly IDataView[] Invalid =
    [
        View.Scalars(1, 2),
        View.Scalars("one"),
        View.Scalars(true),
        View.Vectors(View.Dense<int>([[1, 2, 3, 4]]), 4),
        View.Vectors(View.Dense(View.Floats(2, 4)), 0),
        View.Vectors(View.Dense(View.Doubles(2, 4)), 0),
        View.ML.Transforms.Conversion.MapValueToKey("X").Fit(View.Scalars("one")).Transform(View.Scalars("one")),
        View.ML.Transforms.Text.TokenizeIntoCharactersAsKeys("X", "X").Fit(View.Scalars("one"))
            .Transform(View.Scalars("one")),
        View.Scalars(DateTime.UnixEpoch),
        View.ML.Transforms.CopyColumns("Z", "X").Append(View.ML.Transforms.DropColumns("X"))
            .Fit(Singles).Transform(Singles),
    ];

    [TestMethod]
    public void One_column() => Check(Catalog.BatchNormalization("Y", "X", momentum: 0.9, epsilon: 1e-4));

    [TestMethod]
    public void One_column_that_replaces_its_input() => Check(Catalog.BatchNormalization("X"));

    [TestMethod]
    public void One_column_that_is_not_trainable() => Check(Catalog.BatchNormalization("X", trainable: false));

    [TestMethod]
    public void Several_columns() => Check(Catalog.BatchNormalization(
        [new InputOutputColumnPair("Y", "X"), new InputOutputColumnPair("X"), new InputOutputColumnPair("Z", "X")]));

    [TestMethod]
    [DataRow(MovingStatistics.Population)]
    [DataRow(MovingStatistics.Exponential)]
    [DataRow(MovingStatistics.Cumulative)]
    public void Options_with_each_kind_of_statistics(MovingStatistics kind) =>
        Check(Catalog.BatchNormalization(new BatchNormalizationEstimator.Options
        {
            Columns = [new InputOutputColumnPair("Y", "X")],
            Layer = BatchNormalizationOptions.Keras with { MovingStatistics = kind },
            BatchSize = 8,
            Epochs = 2,
            Shuffle = true,
            Seed = 3,
            TrainDownstreamOn = DownstreamStatistics.Batch,
        }));

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void A_pretrained_transformer(bool trainable) => Check(
        Catalog.BatchNormalization(
            Layers.Transformer(Layers.Column(4), Layers.Column(4, StoredOptions.Bare, "Z")), trainable));

    [TestMethod]
    public void A_pretrained_transformer_with_other_options() => Check(
        Catalog.BatchNormalization(Layers.Transformer(Layers.Column(4)), new BatchNormalizationEstimator.Options
        {
            Columns = [new InputOutputColumnPair("Y", "X")],
            Layer = BatchNormalizationOptions.Keras,
            BatchSize = 8,
        }));

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void A_pretrained_state(bool trainable)
    {
        BatchNormalizationState state = Sample.State(BatchNormalizationOptions.Keras, 4);
        Check(Catalog.BatchNormalization(
            "Y", new SavedBatchNormalization(BatchNormalizationOptions.Keras, state), trainable, "X"));
        Check(Catalog.BatchNormalization(
            "X", new SavedBatchNormalization(BatchNormalizationOptions.PyTorch, state), trainable));
    }

    [TestMethod]
    public void Doubles() => Check(
        View.Vectors(View.Dense(View.Doubles(20, 3)), 3), View.Vectors(View.Dense(View.Doubles(5, 3, seed: 8)), 3));

    [TestMethod]
    public void Scalars()
    {
        Check(View.Scalars(Sample.Floats(20, 1)), View.Scalars(Sample.Floats(5, 2)));
        Check(View.Scalars(Sample.Doubles(20, 1)), View.Scalars(Sample.Doubles(5, 2)));
    }

    [TestMethod]
    public void Sparse_vectors() => Check(
        View.Vectors(Sparse.Of(View.Floats(20, 3)), 3), View.Vectors(Sparse.Of(View.Floats(5, 3)), 3));

    [TestMethod]
    [DataRow(1)]
    [DataRow(-1)]
    [DataRow(2)]
    public void Images_by_any_axis(int axis) => EstimatorContract.Check(
        Catalog.BatchNormalization(
            new BatchNormalizationEstimator.Options { Columns = [new InputOutputColumnPair("Y", "X")], Axis = axis }),
        View.Vectors(View.Dense(View.Floats(20, 24)), 2, 3, 4), View.Vectors(View.Dense(View.Floats(3, 24)), 2, 3, 4),
        [.. Invalid]);

    [TestMethod]
    public void Images_of_another_size_than_those_that_were_fitted() => EstimatorContract.Check(
        Catalog.BatchNormalization(
            new BatchNormalizationEstimator.Options { Columns = [new InputOutputColumnPair("Y", "X")], Axis = 1 }),
        View.Vectors(View.Dense(View.Floats(20, 24)), 2, 3, 4), View.Vectors(View.Dense(View.Floats(3, 20)), 2, 5, 2));

    [TestMethod]
    public void A_mask_column_is_needed_for_fitting_alone()
    {
        BatchNormalizationEstimator estimator = Catalog.BatchNormalization(new BatchNormalizationEstimator.Options
        {
            Columns = [new InputOutputColumnPair("Y", "X")],
            MaskColumnName = "Counts",
            TrainDownstreamOn = DownstreamStatistics.Batch,
        });
        EstimatorContract.Check(estimator, MaskedRow.View(View.Floats(20, 4), i => i % 3 != 0), Singles, Invalid);
        foreach (IDataView wrong in (IDataView[])
            [Singles, View.ML.Transforms.CopyColumns("Counts", "X").Fit(Singles).Transform(Singles)])
        {
            foreach (Action action in (Action[])
                [
                    () => estimator.GetOutputSchema(SchemaShape.Create(wrong.Schema)),
                    () => estimator.Fit(new UnreadableView(wrong)),
                ])
            {
                StringAssert.Contains(
                    Assert.ThrowsExactly<ArgumentOutOfRangeException>(action).Message, "mask column 'Counts'");
            }
        }
    }

    static void Check(IEstimator<ITransformer> estimator) => EstimatorContract.Check(estimator, Singles, More, Invalid);

    static void Check(IDataView fit, IDataView transform) =>
        EstimatorContract.Check(Catalog.BatchNormalization("Y", "X"), fit, transform, Invalid);

    /// <summary>Rows of four slots with names.</summary>
    static IDataView Rows(int rows, int seed) =>
        View.Vectors(View.Dense(View.Floats(rows, 4, seed)), [4], ["a", "b", "c", "d"]);
}
