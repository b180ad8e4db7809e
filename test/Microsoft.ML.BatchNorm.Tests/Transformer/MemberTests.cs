using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Transformer;

[TestClass]
public class MemberTests
{
    [TestMethod]
    public void GetState_gives_the_state_behind_an_output_column()
    {
        BatchNormalizationTransformer transformer =
            Layers.Transformer(Layers.Column(2, output: "A"), Layers.Column(3, output: "B"));
        Assert.AreSame(transformer.Columns[1].State, transformer.GetState("B"));
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => transformer.GetState("X"));
        StringAssert.Contains(error.Message, "Could not find output column 'X'");
    }

    [TestMethod]
    public void Freeze_and_Unfreeze_make_new_transformers_of_the_same_states()
    {
        BatchNormalizationTransformer transformer = Layers.Transformer(2), frozen = transformer.Freeze();
        Assert.IsTrue(transformer.Columns[0].Options.Trainable);
        Assert.IsFalse(frozen.Columns[0].Options.Trainable);
        Assert.AreSame(transformer.GetState("Y"), frozen.GetState("Y"));
        Assert.AreEqual(transformer.Columns[0].Options, frozen.Unfreeze().Columns[0].Options);
    }

    [TestMethod]
    public void Layers_are_frozen_by_the_names_of_their_columns()
    {
        BatchNormalizationTransformer transformer =
            Layers.Transformer(Layers.Column(2, output: "A"), Layers.Column(2, output: "B"));
        bool[] Trainable(BatchNormalizationTransformer from) =>
            [.. from.Columns.Select(column => column.Options.Trainable)];
        CollectionAssert.AreEqual(new[] { true, false }, Trainable(transformer.Freeze("B")));
        CollectionAssert.AreEqual(new[] { false, true }, Trainable(transformer.Freeze().Unfreeze("B")));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => transformer.Freeze("X"));
    }

    [TestMethod]
    public void A_frozen_layer_stays_frozen_when_an_estimator_goes_on_from_it()
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(20, 2)), 2);
        BatchNormalizationTransformer fitted = Layers.Transformer(2), frozen = fitted.Freeze();
        BatchNormalizationEstimator estimator = View.ML.Transforms.BatchNormalization("Y", "X");
        BatchNormalizationTransformer next = estimator.Fit(view, frozen);
        Assert.AreSame(frozen.GetState("Y"), next.GetState("Y"));
        Assert.IsFalse(next.Columns[0].Options.Trainable);
        Assert.AreNotEqual(fitted.GetState("Y"), estimator.Fit(view, next.Unfreeze()).GetState("Y"));
    }

    [TestMethod]
    public void InitialWeight_is_that_of_the_column_where_it_is_greatest()
    {
        BatchNormalizationOptions options = BatchNormalizationOptions.Keras;
        var fresh = Layers.Column(options, BatchNormalization.Initialize(options, 2), "A");
        Assert.AreEqual(1, Layers.Transformer(Layers.Column(2), fresh).InitialWeight);
        Assert.AreEqual(0, Layers.Transformer(2).InitialWeight);
    }

    [TestMethod]
    public void The_column_s_axis_counts_the_batch_as_its_options_do()
    {
        Assert.AreEqual(-1, Layers.Column(2, new() { Axis = -1 }).Axis);
        Assert.AreEqual(1, Layers.Column(2, new() { Axis = 1 }).Axis);
        Assert.ThrowsExactly<ArgumentException>(() => Layers.Column(2, new() { Axis = 0 }));
    }

    [TestMethod]
    public void Two_outputs_of_one_name_are_refused() =>
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Layers.Transformer(Layers.Column(2), Layers.Column(2)));
}
