using Microsoft.ML.Data;
using Microsoft.ML.Transforms;
using static Microsoft.ML.BatchNorm.Tests.Chains.Chain;

namespace Microsoft.ML.BatchNorm.Tests.Chains;

/// <summary>Raw rows go in, and a report for each layer comes out.</summary>
[TestClass]
public class CompareChainTests
{
    [TestMethod]
    public void The_usual_chain_gives_the_report_of_the_chain_split_by_hand()
    {
        foreach (ITransformer model in (ITransformer[])[UsualModel, Loaded(UsualModel)])
        {
            IReadOnlyDictionary<string, DriftReport> reports = model.CompareStatistics(New);
            Assert.AreEqual("Features", reports.Keys.Single());
            DriftReport expected = Layers(model).Single().CompareStatistics(
                Behind((IEnumerable<ITransformer>)model, 1, New))["Features"];
            CollectionAssert.AreEqual(expected.Channels.ToArray(), reports["Features"].Channels.ToArray());
            Assert.IsTrue(reports["Features"].IsDrift());
            Assert.IsFalse(model.CompareStatistics(Train)["Features"].IsDrift());
            Assert.IsTrue(model.CompareStatistics(Unlabeled)["Features"].IsDrift());
        }
    }

    [TestMethod]
    public void Each_layer_has_a_report_in_the_order_of_the_chain()
    {
        BatchNormalizationTransformer inner =
            Context.Transforms.BatchNormalization([new("P", "A"), new("Q", "B")]).Fit(Train);
        ITransformer model = new TransformerChain<ITransformer>(
            inner, new TransformerChain<ITransformer>(
                Context.Transforms.BatchNormalization("R", "P").Fit(inner.Transform(Train))));
        IReadOnlyDictionary<string, DriftReport> reports = model.CompareStatistics(New);
        CollectionAssert.AreEqual((string[])["P", "Q", "R"], reports.Keys.ToArray());
        CollectionAssert.AreEqual((string[])["Q", "R"], model.CompareStatistics(New, "R", "Q").Keys.ToArray());
        CollectionAssert.AreEqual(
            reports["R"].Channels.ToArray(), model.CompareStatistics(New, "R")["R"].Channels.ToArray());
        // The first layer stands, so the second gets what has drifted.
        Assert.IsTrue(reports["R"].IsDrift());
    }

    [TestMethod]
    public void Two_layers_of_one_name_are_numbered_whatever_other_names_there_are()
    {
        var model = Layer("A").Append(Layer("A#1", "A")).Append(Context.Transforms.NormalizeMinMax("A"))
            .Append(Layer("A")).Fit(Train);
        IReadOnlyDictionary<string, DriftReport> reports = model.CompareStatistics(New);
        CollectionAssert.AreEqual((string[])["A##1", "A#1", "A#2"], reports.Keys.ToArray());
        foreach (string name in reports.Keys)
            Assert.AreEqual(name, model.CompareStatistics(New, name).Keys.Single());
        CollectionAssert.AreEqual((string[])["A##1", "A#2"], model.CompareStatistics(New, "A").Keys.ToArray());
    }
}
