using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Tests.Transformer;

/// <summary>Which annotations of ML.NET's own columns still hold when they are normalized.</summary>
[TestClass]
public class AnnotationTests
{
    static readonly IDataView Rows = Blobs.View(View.ML);

    [TestMethod]
    public void Indicators_of_a_category_keep_their_names_and_are_no_category_any_more()
    {
        IDataView encoded = View.ML.Transforms.Categorical.OneHotEncoding("X", "Color").Fit(Rows).Transform(Rows);
        Assert.IsTrue(Kinds(encoded, "X").Contains("CategoricalSlotRanges"));
        AssertAnnotations(encoded, ["SlotNames", "IsNormalized"], "green");
    }

    [TestMethod]
    public void A_concatenation_keeps_its_slots_names()
    {
        IDataView joined = View.ML.Transforms.Concatenate("X", "Value", "Weight").Fit(Rows).Transform(Rows);
        AssertAnnotations(joined, ["SlotNames", "IsNormalized"], "Weight");
    }

    [TestMethod]
    public void Scores_are_scores_no_more()
    {
        IDataView scored = View.ML.MulticlassClassification.Trainers
            .SdcaMaximumEntropy(maximumNumberOfIterations: 1).Fit(Rows).Transform(Rows);
        IDataView named = View.ML.Transforms.SelectColumns("Score").Fit(scored).Transform(scored);
        IDataView view = View.ML.Transforms.CopyColumns("X", "Score").Fit(named).Transform(named);
        string[] before = Kinds(view, "X");
        CollectionAssert.IsSubsetOf((string[])["ScoreColumnKind", "ScoreValueKind", "ScoreColumnSetId"], before);
        AssertAnnotations(view, [.. before.Intersect(["SlotNames"]), "IsNormalized"], slot: null);
    }

    static void AssertAnnotations(IDataView view, string[] expected, string? slot)
    {
        var estimator = View.ML.Transforms.BatchNormalization("Y", "X");
        EstimatorContract.Check(estimator, view, view);
        IDataView output = estimator.Fit(view).Transform(view);
        CollectionAssert.AreEquivalent(expected, Kinds(output, "Y"));
        if (slot is null)
            return;
        VBuffer<ReadOnlyMemory<char>> names = default;
        output.Schema["Y"].GetSlotNames(ref names);
        CollectionAssert.Contains(names.DenseValues().Select(name => name.ToString()).ToArray(), slot);
    }

    static string[] Kinds(IDataView view, string column) =>
        [.. view.Schema[column].Annotations.Schema.Select(kind => kind.Name)];
}
