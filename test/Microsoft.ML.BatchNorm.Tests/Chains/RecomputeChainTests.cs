using Microsoft.ML.Data;
using Microsoft.ML.Transforms;
using static Microsoft.ML.BatchNorm.Tests.Chains.Chain;

namespace Microsoft.ML.BatchNorm.Tests.Chains;

/// <summary>Recomputing gives the layers of a model, and those in its network, the statistics of other rows.</summary>
[TestClass]
public class RecomputeChainTests
{
    static IEnumerable<object[]> Usuals => [["fitted", UsualModel], ["loaded", Loaded(UsualModel)]];

    [TestMethod]
    [DynamicData(nameof(Usuals))]
    public void The_statistics_are_those_of_a_layer_that_is_fitted_to_the_rows(string name, ITransformer model)
    {
        BatchNormalizationTransformer anew = Layer("Features").Fit(
            Context.Transforms.Concatenate("Features", "A", "B").Fit(New).Transform(New));

        foreach (IDataView rows in (IDataView[])[New, Unlabeled])
        {
            ITransformer adapted = model.RecomputeBatchNormalization(rows);

            Assert.AreEqual(anew.GetState("Features"), Layers(adapted).Single().GetState("Features"), name);
            Assert.AreEqual(Shape(model), Shape(adapted));
            Assert.IsFalse(adapted.CompareStatistics(rows)["Features"].IsDrift());
            AssertSameLayers(adapted, Loaded(adapted));
            AssertSameLayers(adapted, Context.Model.RecomputeBatchNormalization(model, rows));
        }
        Assert.AreEqual(240, Layers(model).Single().GetState("Features").GetPopulation()!.Count[0]);
    }

    [TestMethod]
    public void What_is_measured_in_another_unit_is_predicted_as_before()
    {
        IDataView scaled = Context.Data.LoadFromEnumerable(
            Context.Data.CreateEnumerable<Row>(Train, false).Select(
                row => new Row { A = 16 * row.A + 4, B = [.. row.B.Select(value => 16 * value)], Label = row.Label }));

        TransformerChain<ITransformer> adapted = UsualModel.RecomputeBatchNormalization(scaled);

        float[][] before = [.. UsualModel.Transform(Train).GetColumn<float[]>("Score")];
        float[][] after = [.. adapted.Transform(scaled).GetColumn<float[]>("Score")];
        for (int row = 0; row < before.Length; row++)
        {
            for (int k = 0; k < before[row].Length; k++)
                Assert.AreEqual(before[row][k], after[row][k], 1e-5f);
        }
    }

    [TestMethod]
    public void A_weight_mixes_the_two_distributions_and_none_counts_all_values()
    {
        BatchNormalizationState old = Layers(UsualModel).Single().GetState("Features");
        BatchNormalizationState now = StateAfter(1), mixed = StateAfter(0.3), all = StateAfter(null);

        for (int c = 0; c < old.Channels; c++)
        {
            double distance = now.MovingMean[c] - old.MovingMean[c];
            Assert.AreEqual(old.MovingMean[c] + 0.3 * distance, mixed.MovingMean[c], 1e-12);
            Assert.AreEqual(
                0.7 * old.MovingVariance[c] + 0.3 * now.MovingVariance[c] + 0.21 * distance * distance,
                mixed.MovingVariance[c], 1e-12);
        }
        Assert.IsNull(mixed.GetPopulation());
        Assert.AreEqual(Layers(UsualModel.FineTuneBatchNormalization(New)).Single().GetState("Features"), all);
        Assert.AreEqual(old, StateAfter(0));

        static BatchNormalizationState StateAfter(double? weight) =>
            Layers(UsualModel.RecomputeBatchNormalization(New, weight)).Single().GetState("Features");
    }

    [TestMethod]
    public void An_average_gets_exact_statistics_and_moves_on_from_them_as_an_average()
    {
        BatchNormalizationTransformer average = Layer("Y", "A", options =>
        {
            options.Layer = new() { Momentum = 0.99, Renorm = new() };
            options.BatchSize = 16;
        }).Fit(Train);
        Assert.IsGreaterThan(0.5, average.InitialWeight);

        BatchNormalizationTransformer adapted = average.RecomputeStatistics(New);

        BatchNormalizationState exact = Layer("Y", "A").Fit(New).GetState("Y"), state = adapted.GetState("Y");
        Assert.AreEqual(exact.MovingMean[0], state.MovingMean[0]);
        Assert.AreEqual(exact.MovingVariance[0], state.MovingVariance[0]);
        Assert.AreEqual(0, adapted.InitialWeight);
        Assert.AreEqual(average.Columns[0].Options, adapted.Columns[0].Options);
        BatchNormalizationState moved = adapted.FineTune(Train).GetState("Y");
        Assert.IsTrue(moved.MovingMean[0] < exact.MovingMean[0]
            && moved.MovingMean[0] > Layer("Y", "A").Fit(Train).GetState("Y").MovingMean[0]);
        Assert.Contains(
            "do not know of how many values",
            Assert.Throws<ArgumentException>(() => average.RecomputeStatistics(New, weight: null)).Message);
    }

    [TestMethod]
    public void Frozen_layers_stay_until_they_are_named_and_stay_frozen_then()
    {
        var model = Context.Transforms.BatchNormalization("X", "A").Append(Layer("Y", "A")).Fit(Train)
            .FreezeBatchNormalization("X");
        BatchNormalizationTransformer[] before = Layers(model), usual = Layers(model.RecomputeBatchNormalization(New)),
            named = Layers(model.RecomputeBatchNormalization(New, layers: ["X"]));

        Assert.AreEqual(before[0].GetState("X"), usual[0].GetState("X"));
        Assert.AreNotEqual(before[1].GetState("Y"), usual[1].GetState("Y"));
        Assert.AreEqual(usual[1].GetState("Y").MovingMean[0], named[0].GetState("X").MovingMean[0]);
        Assert.AreEqual(before[1].GetState("Y"), named[1].GetState("Y"));
        Assert.IsFalse(named[0].Columns[0].Options.Trainable);
    }

    [TestMethod]
    public void Of_two_layers_the_second_gets_what_the_first_now_gives()
    {
        var model = Layer("X", "A").Append(Layer("Y", "X")).Fit(Train);

        BatchNormalizationTransformer[] adapted = Layers(model.RecomputeBatchNormalization(New));

        BatchNormalizationTransformer[] anew = Layers(Layer("X", "A").Append(Layer("Y", "X")).Fit(New));
        Assert.AreEqual(anew[0].GetState("X"), adapted[0].GetState("X"));
        Assert.AreEqual(anew[1].GetState("Y"), adapted[1].GetState("Y"));
    }

    [TestMethod]
    public void Layers_and_network_of_one_chain_are_adapted_together_or_by_name()
    {
        var model = Context.Transforms.Concatenate("Features", "A", "B").Append(Layer("Features"))
            .Append(Context.Transforms.Conversion.MapValueToKey("Label"), TransformerScope.TrainTest)
            .Append(Context.MulticlassClassification.Trainers.BatchNormNetwork(new()
            {
                Network = Network.Input(3).Dense(4).BatchNormalization(name: "inside").ReLU().Dense(3), Epochs = 1,
            })).Fit(Train);

        var both = model.RecomputeBatchNormalization(New);
        var layer = model.RecomputeBatchNormalization(New, layers: ["Features"]);
        var network = layer.RecomputeBatchNormalization(New, layers: ["ins*"]);

        AssertSameLayers(both, layer);
        Assert.AreEqual(model.GetNetwork().State, layer.GetNetwork().State);
        Assert.AreEqual(both.GetNetwork().State, network.GetNetwork().State);
        Assert.AreNotEqual(model.GetNetwork().State, both.GetNetwork().State);
        Assert.Contains("'other'", Message(() => model.RecomputeBatchNormalization(New, layers: ["other"])));
    }

    [TestMethod]
    public void Histograms_go_with_the_statistics_that_they_belong_to()
    {
        BatchNormalizationTransformer keeping = Layer("Y", "A", options => options.KeepHistograms = true).Fit(Train);

        Assert.AreEqual(
            Layer("Y", "A", options => options.KeepHistograms = true).Fit(New).GetState("Y"),
            keeping.RecomputeStatistics(New).GetState("Y"));
        Assert.IsNotNull(keeping.RecomputeStatistics(New, weight: null).GetState("Y").GetHistograms());
        Assert.IsNull(keeping.RecomputeStatistics(New, weight: 0.5).GetState("Y").GetHistograms());
    }

    [TestMethod]
    public void Channels_without_values_keep_their_statistics_and_constants_become_beta()
    {
        BatchNormalizationTransformer layer = Layer(
            "Y", "B", options => options.Layer = new() { NonFinite = NonFinite.Ignore }).Fit(Train);
        BatchNormalizationState before = layer.GetState("Y");
        IDataView rows = Context.Data.LoadFromEnumerable(
            Enumerable.Range(0, 100).Select(i => new Raw { B = [float.NaN, 1e8f + (i == 7 ? 8 : 0)] }));
        IDataView none = Context.Data.LoadFromEnumerable([new Raw { B = [float.NaN, float.NaN] }]);

        foreach (double? weight in (double?[])[1, 0.5, null])
        {
            BatchNormalizationState after = layer.RecomputeStatistics(rows, weight).GetState("Y");
            Assert.AreEqual(before.MovingMean[0], after.MovingMean[0]);
            Assert.AreEqual(before.MovingVariance[0], after.MovingVariance[0]);
            Assert.AreEqual(before, layer.RecomputeStatistics(none, weight).GetState("Y"));
        }
        Assert.AreEqual(0, layer.RecomputeStatistics(rows).GetState("Y").MovingVariance[1]);
    }

    [TestMethod]
    public void What_cannot_be_done_is_an_error()
    {
        ITransformer frozen = UsualModel.FreezeBatchNormalization();
        ITransformer none = Context.Transforms.CopyColumns("C", "A").Fit(Train);

        Assert.Contains("all layers are frozen", Message(() => frozen.RecomputeBatchNormalization(New)));
        Assert.Contains(
            "all layers are frozen", Message(() => Layer("Y", "A").Fit(Train).Freeze().RecomputeStatistics(New)));
        Assert.Contains("no batch normalization layer", Message(() => none.RecomputeBatchNormalization(New)));
        Assert.Contains("it has 'Features'", Message(
            () => UsualModel.RecomputeBatchNormalization(New, layers: ["Feature"])));
        Assert.Contains("at least one layer", Message(() => UsualModel.RecomputeBatchNormalization(New, layers: [])));
        foreach (double weight in (double[])[-0.1, 1.1, double.NaN])
            Assert.Contains("from 0 to 1", Message(() => UsualModel.RecomputeBatchNormalization(New, weight)));
    }

    static string Message(Func<object> call) => Assert.Throws<ArgumentException>(call).Message;
}
