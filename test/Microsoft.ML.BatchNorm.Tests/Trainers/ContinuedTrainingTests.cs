using Microsoft.ML.Data;
using Microsoft.ML.Trainers;

namespace Microsoft.ML.BatchNorm.Tests.Trainers;

/// <summary>
/// Training that goes on: from a model, from a pretrained network, under a new head, over frozen layers.
/// </summary>
[TestClass]
public class ContinuedTrainingTests
{
    static readonly MLContext context = new(1);

    static readonly IDataView Rows = Blobs.View(context);

    static readonly MulticlassPredictionTransformer<BatchNormNetworkMulticlassModelParameters> First =
        Blobs.Multiclass(context, options => options.Epochs = 3).Fit(Rows);

    [TestMethod]
    public void A_run_of_learning_rate_0_begins_where_the_model_stands()
    {
        var trainer = Blobs.Multiclass(context, options =>
        {
            options.Optimizer = Optimizer.Sgd(0);
            options.RecomputeStatistics = false;
            options.Freeze = ["batch_normalization*"];
        });
        Assert.AreEqual(First.Model.State, trainer.Fit(Rows, First).Model.State);
    }

    [TestMethod]
    public void It_goes_on_from_a_transformer_a_chain_and_a_loaded_model_alike()
    {
        var trainer = Blobs.Multiclass(context, options => options.Epochs = 1);
        NetworkState expected = trainer.Fit(Rows, First).Model.State;
        Assert.AreNotEqual(expected, First.Model.State);
        ITransformer chain = new TransformerChain<ITransformer>(
            context.Transforms.NormalizeMinMax("Other", "Features").Fit(Rows), First);
        foreach (ITransformer previous in (ITransformer[])[chain, Persistence.Model.Reload(chain, Rows.Schema)])
            Assert.AreEqual(expected, trainer.Fit(Rows, previous).Model.State);
    }

    [TestMethod]
    public void Its_loss_falls_on()
    {
        double before = context.MulticlassClassification.Evaluate(First.Transform(Rows)).LogLoss;
        var second = Blobs.Multiclass(context).Fit(Rows, First);
        Assert.IsTrue(context.MulticlassClassification.Evaluate(second.Transform(Rows)).LogLoss < before);
    }

    [TestMethod]
    public void A_binary_and_a_regression_model_are_gone_on_from_too()
    {
        var binary = Blobs.Binary(context, options => options.Epochs = 1);
        var model = binary.Fit(Rows);
        Assert.AreNotEqual(model.Model.SubModel.State, binary.Fit(Rows, model).Model.SubModel.State);
        var regression = Blobs.Regression(context, options => options.Epochs = 1);
        var value = regression.Fit(Rows);
        Assert.AreNotEqual(value.Model.State, regression.Fit(Rows, value).Model.State);
    }

    [TestMethod]
    public void Another_number_of_classes_needs_a_plan()
    {
        var error = Assert.Throws<ArgumentException>(() => Blobs.Binary(context).Fit(Rows, First));
        StringAssert.Contains(error.Message, "FineTune");
    }

    [TestMethod]
    public void With_a_plan_another_number_of_classes_gets_a_new_head()
    {
        var trainer = Blobs.Binary(context, options => options.FineTune = FineTune.HeadThenAll(
            headEpochs: 8, allEpochs: 2, headLearningRate: 0.01, learningRate: 0.001));
        var model = trainer.Fit(Rows, First);
        Network network = model.Model.SubModel.Network;
        Assert.AreEqual(1, network.OutputShape.Size);
        CollectionAssert.AreEqual(
            First.Model.Network.Nodes.SkipLast(1).Select(node => node.Path).ToArray(),
            network.Nodes.SkipLast(1).Select(node => node.Path).ToArray());
        double accuracy = context.BinaryClassification.Evaluate(model.Transform(Rows), "IsRed").Accuracy;
        Assert.IsTrue(accuracy > 0.9, $"{accuracy:P1}");
    }

    [TestMethod]
    public void A_frozen_layer_stays_bit_for_bit_and_the_model_keeps_the_switch()
    {
        string[] frozen = ["dense", "batch_normalization", "batch_normalization_1"];
        var second = Blobs.Multiclass(context, options => options.Freeze = ["batch*", "dense"]).Fit(Rows, First);
        foreach (string path in frozen)
        {
            Assert.AreEqual(First.Model.State[path], second.Model.State[path], path);
            Assert.IsFalse(second.Model.Network.GetNode(path).IsTrainable, path);
        }
        Assert.AreNotEqual(First.Model.State["dense_1"], second.Model.State["dense_1"]);
        var third = Blobs.Multiclass(context).Fit(Rows, second);
        foreach (string path in frozen)
            Assert.AreEqual(First.Model.State[path], third.Model.State[path], $"{path}, frozen by the model before");
    }

    [TestMethod]
    public void A_pretrained_network_is_trained_on()
    {
        var pretrained = new SavedNetwork(First.Model.Network, First.Model.State);
        var trainer = Blobs.Multiclass(context, options =>
            (options.NetworkFactory, options.Pretrained, options.Epochs) = (null, pretrained, 1));
        var expected = Blobs.Multiclass(context, options => options.Epochs = 1).Fit(Rows, First);
        Assert.AreEqual(expected.Model.State, trainer.Fit(Rows).Model.State);
    }

    [TestMethod]
    public void Another_network_takes_over_the_layers_of_a_pretrained_one_that_fit()
    {
        var model = Blobs.Multiclass(context, options =>
        {
            options.NetworkFactory = null;
            options.Network = First.Model.Network.Before("dense_1")
                .Dense(8, name: "wide").ReLU().Dense(3, name: "last");
            options.Pretrained = new SavedNetwork(First.Model.Network, First.Model.State);
            options.Freeze = ["dense", "batch*"];
        }).Fit(Rows);
        Assert.AreEqual(First.Model.State["dense"], model.Model.State["dense"]);
        Assert.AreEqual(3, model.Model.State["last"].Bias.Length);
    }

    [TestMethod]
    public void A_transformer_without_a_network_is_ML_NET_s_argument_error()
    {
        foreach (ITransformer other in (ITransformer[])
            [
                context.Transforms.NormalizeMinMax("Features").Fit(Rows),
                context.MulticlassClassification.Trainers.NaiveBayes().Fit(Rows),
                new TransformerChain<ITransformer>(),
            ])
        {
            var error = Assert.Throws<ArgumentException>(() => Blobs.Multiclass(context).Fit(Rows, other));
            Assert.AreEqual("previous", error.ParamName);
            Assert.IsTrue(Runtime.Contracts.IsMarked(error));
        }
    }

    [TestMethod]
    public void A_model_of_other_features_is_a_schema_mismatch()
    {
        IDataView wide = context.Transforms.Concatenate("Features", "Features", "Features").Fit(Rows).Transform(Rows);
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Blobs.Multiclass(context).Fit(wide, First));
        StringAssert.Contains(error.Message, "Vector<Single, 4>");
    }
}
