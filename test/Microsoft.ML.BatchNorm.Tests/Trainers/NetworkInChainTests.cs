using Microsoft.ML.Data;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Trainers;

/// <summary>The network of a model is found wherever in its chain it is.</summary>
[TestClass]
public class NetworkInChainTests
{
    static readonly MLContext context = new(1);

    static readonly IDataView Rows = Blobs.View(context);

    static readonly MulticlassPredictionTransformer<BatchNormNetworkMulticlassModelParameters> First =
        Blobs.Multiclass(context, options => options.Epochs = 2).Fit(Rows);

    /// <summary>Chains around the network: as the templates of ML.NET end them, nested, and loaded.</summary>
    static IEnumerable<object[]> Models
    {
        get
        {
            ITransformer names =
                context.Transforms.Conversion.MapKeyToValue("PredictedLabel").Fit(First.Transform(Rows));
            ITransformer before = context.Transforms.CopyColumns("Other", "Features").Fit(Rows);
            var usual = new TransformerChain<ITransformer>(before, First, names);
            var nested = new TransformerChain<ITransformer>(
                new TransformerChain<ITransformer>(before, new TransformerChain<ITransformer>(First)), names);
            yield return ["alone", First];
            yield return ["usual", usual];
            yield return ["usual, loaded", Persistence.Model.Reload(usual, Rows.Schema)];
            yield return ["nested", nested];
            yield return ["nested, loaded", Persistence.Model.Reload(nested, Rows.Schema)];
        }
    }

    [TestMethod]
    [DynamicData(nameof(Models))]
    public void Training_goes_on_from_it(string name, ITransformer model)
    {
        var trainer = Blobs.Multiclass(context, options => options.Epochs = 1);
        Assert.AreEqual(trainer.Fit(Rows, First).Model.State, trainer.Fit(Rows, model).Model.State, name);
        var pretrained = Blobs.Multiclass(context, options =>
            (options.Epochs, options.NetworkFactory, options.Pretrained) = (1, null, model.GetNetwork()));
        Assert.AreEqual(trainer.Fit(Rows, First).Model.State, pretrained.Fit(Rows).Model.State, name);
    }

    [TestMethod]
    [DynamicData(nameof(Models))]
    public void It_is_applied(string name, ITransformer model)
    {
        SavedNetwork network = model.GetNetwork();
        Assert.AreEqual((First.Model.Network, First.Model.State), (network.Network, network.State), name);
        float[][] expected = Outputs(First), actual = Outputs(model);
        for (int row = 0; row < expected.Length; row++)
            CollectionAssert.AreEqual(expected[row], actual[row]);

        static float[][] Outputs(ITransformer from) =>
        [
            .. context.Transforms.ApplyNetwork("E", from, "re_lu", "Features").Fit(Rows).Transform(Rows)
                .GetColumn<float[]>("E"),
        ];
    }

    [TestMethod]
    public void A_calibrated_network_is_found_too()
    {
        var binary = Blobs.Binary(context, options => options.Epochs = 1).Fit(Rows);
        var chain = new TransformerChain<ITransformer>(
            binary, context.Transforms.CopyColumns("P", "Probability").Fit(binary.Transform(Rows)));
        Assert.AreEqual(binary.Model.SubModel.State, chain.GetNetwork().State);
    }

    [TestMethod]
    public void None_and_two_are_errors_that_say_which()
    {
        ColumnCopyingTransformer copy = context.Transforms.CopyColumns("Other", "Features").Fit(Rows);
        var applied = context.Transforms.ApplyNetwork("Part", First, "re_lu", "Features").Fit(Rows);
        var other = Blobs.Multiclass(
            context, options => (options.Epochs, options.FeatureColumnName) = (1, "Other")).Fit(copy.Transform(Rows));
        foreach (ITransformer none in (ITransformer[])
            [copy, applied, new TransformerChain<ITransformer>(), new TransformerChain<ITransformer>(copy)])
        {
            foreach (Action call in Calls(none))
            {
                var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(call);
                StringAssert.Contains(error.Message, "The model has no network");
            }
        }
        var two = new TransformerChain<ITransformer>(
            copy, First, new TransformerChain<ITransformer>(applied, other));
        foreach (Action call in Calls(two))
        {
            StringAssert.Contains(
                Assert.ThrowsExactly<ArgumentOutOfRangeException>(call).Message,
                "The model has 2 networks: step 2 (features 'Features'), step 4 (features 'Other'). " +
                "Pass the prediction transformer of one of them.");
        }
        // A step that applies a network is not what the chain predicts with.
        Assert.AreEqual(other.Model.State, new TransformerChain<ITransformer>(copy, applied, other).GetNetwork().State);

        static Action[] Calls(ITransformer model) =>
        [
            () => _ = model.GetNetwork(), () => Blobs.Multiclass(context).Fit(Rows, model),
            () => context.Transforms.ApplyNetwork("E", model, inputColumnName: "Features"),
        ];
    }
}
