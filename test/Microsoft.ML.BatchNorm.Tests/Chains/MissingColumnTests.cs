using Microsoft.ML.Data;
using static Microsoft.ML.BatchNorm.Tests.Chains.Chain;

namespace Microsoft.ML.BatchNorm.Tests.Chains;

/// <summary>
/// Rows need the columns that the layers depend on, and no other; what a step cannot make of them does not exist.
/// </summary>
[TestClass]
public class MissingColumnTests
{
    [TestMethod]
    public void A_label_that_is_mapped_before_the_layer_is_not_needed()
    {
        var model = Context.Transforms.Conversion.MapValueToKey("Label")
            .Append(Context.Transforms.Concatenate("F", "A", "B")).Append(Layer("F")).Fit(Train);
        // ML.NET itself asks for it.
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => model.Transform(Unlabeled));
        foreach (ITransformer chain in (ITransformer[])[model, Loaded(model)])
        {
            ITransformer tuned = chain.FineTuneBatchNormalization(Unlabeled);
            AssertSameLayers(chain.FineTuneBatchNormalization(New), tuned);
            Assert.AreEqual(Shape(chain), Shape(tuned));
            CollectionAssert.AreEqual(
                chain.CompareStatistics(New)["F"].Channels.ToArray(),
                chain.CompareStatistics(Unlabeled)["F"].Channels.ToArray());
        }
    }

    [TestMethod]
    public void Steps_that_depend_on_what_is_not_made_are_left_out_too()
    {
        var model = Context.Transforms.Conversion.MapValueToKey("Key", "Label")
            .Append(Context.Transforms.Conversion.MapKeyToVector("OneHot", "Key"))
            .Append(Context.Transforms.Concatenate("All", "OneHot", "A"))
            .Append(Context.Transforms.Concatenate("F", "A", "B"))
            .Append(Context.Transforms.SelectColumns("F", "All", "Label"))
            .Append(Context.Transforms.DropColumns("Label", "All")).Append(Layer("F")).Fit(Train);
        AssertSameLayers(model.FineTuneBatchNormalization(New), model.FineTuneBatchNormalization(Unlabeled));
    }

    [TestMethod]
    public void A_layer_that_depends_on_a_missing_column_is_an_error_that_names_it()
    {
        var model = Context.Transforms.Conversion.MapValueToKey("Key", "Label")
            .Append(Context.Transforms.Conversion.MapKeyToVector("OneHot", "Key")).Append(Layer("P", "A"))
            .Append(Layer("F", "OneHot")).Fit(Train);
        foreach (Action call in (Action[])
            [() => _ = model.FineTuneBatchNormalization(Unlabeled), () => model.CompareStatistics(Unlabeled)])
        {
            var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(call);
            StringAssert.Contains(error.Message, "The rows have no column 'Label', from which column 'OneHot' is made");
        }
        // Where that layer is not meant, nothing depends on the label.
        Assert.AreEqual(
            Layers(model.FineTuneBatchNormalization(New, "P"))[0].GetState("P"),
            Layers(model.FineTuneBatchNormalization(Unlabeled, "P"))[0].GetState("P"));
        var none = Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => _ = Layer("Y", "Counts2").Append(Layer("Z", "Y"))
                .Fit(Context.Transforms.CopyColumns("Counts2", "A").Fit(Train).Transform(Train))
                .FineTuneBatchNormalization(Unlabeled));
        StringAssert.Contains(none.Message, "Counts2");
    }

    [TestMethod]
    public void A_column_of_the_same_name_does_not_take_the_place_of_what_is_not_made()
    {
        // The rows have a Features of their own, of the right size, but no A to make it from.
        var model = Context.Transforms.Concatenate("Features", "A", "B").Append(Layer("Features")).Fit(Train);
        IDataView other = Context.Transforms.Concatenate("Features", "A", "B")
            .Append(Context.Transforms.DropColumns("A")).Fit(Train).Transform(Train);
        foreach (Action call in (Action[])
            [() => _ = model.FineTuneBatchNormalization(other), () => model.CompareStatistics(other)])
        {
            var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(call);
            StringAssert.Contains(error.Message, "no column 'A', from which column 'Features' is made");
        }
    }

    [TestMethod]
    public void A_mask_that_is_not_made_is_not_as_if_there_were_none()
    {
        var model = Context.Transforms.Conversion.ConvertType("Kept", "Counts", DataKind.Boolean)
            .Append(Layer("F", "B", options => options.MaskColumnName = "Kept")).Fit(Train);
        Assert.AreEqual(180, model.CompareStatistics(New)["F"].Channels[0].Count);
        foreach (Action call in (Action[])
            [() => _ = model.FineTuneBatchNormalization(Unlabeled), () => model.CompareStatistics(Unlabeled)])
        {
            var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(call);
            StringAssert.Contains(error.Message, "no column 'Counts', from which column 'Kept' is made");
        }
    }

    [TestMethod]
    public void Steps_behind_the_last_layer_need_nothing()
    {
        ITransformer custom = Context.Transforms.CustomMapping<Chain.Row, Named>(
            (row, named) => named.Name = row.Label, "named").Fit(Train);
        var behind = new TransformerChain<ITransformer>(Layer("P", "A").Fit(Train), custom);
        Assert.AreEqual(
            Layers(behind.FineTuneBatchNormalization(New))[0].GetState("P"),
            Layers(behind.FineTuneBatchNormalization(Unlabeled))[0].GetState("P"));
        // Of a step of unknown columns before the layer, the error is ML.NET's own.
        var before = new TransformerChain<ITransformer>(custom, Layer("P", "A").Fit(Train));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => _ = before.FineTuneBatchNormalization(Unlabeled));
    }

    sealed class Named
    {
        public string Name { get; set; } = "";
    }
}
