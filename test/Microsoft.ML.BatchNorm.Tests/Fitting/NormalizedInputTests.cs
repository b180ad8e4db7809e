using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;
using Saved = Microsoft.ML.BatchNorm.Tests.Persistence.Model;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>A layer that replaces its input is not handed what it has normalized already.</summary>
[TestClass]
public class NormalizedInputTests
{
    static readonly IDataView Rows = Fits.Vectors(View.Floats(200, 3));

    [TestMethod]
    public void The_steps_before_a_layer_of_a_chain_give_the_rows_that_go_into_it()
    {
        IDataView view = Fits.Vectors(View.Floats(200, 3));
        var model = View.ML.Transforms.CopyColumns("Z", "X").Append(View.ML.Transforms.BatchNormalization("Z"))
            .Append(View.ML.Transforms.CopyColumns("W", "Z")).Fit(view);
        BatchNormalizationTransformer layer =
            ((IEnumerable<ITransformer>)model).OfType<BatchNormalizationTransformer>().Single();
        IDataView rows = new TransformerChain<ITransformer>([.. model.TakeWhile(step => step != layer)])
            .Transform(view);
        Assert.IsFalse(layer.CompareStatistics(rows)["Z"].IsDrift());
        Assert.AreEqual(400, layer.FineTune(rows).GetState("Z").GetPopulation()!.Count[0]);
    }

    [TestMethod]
    public void What_came_out_of_a_layer_is_an_error_where_it_goes_on_or_is_compared()
    {
        BatchNormalizationEstimator estimator = View.ML.Transforms.BatchNormalization("X");
        BatchNormalizationTransformer fitted = estimator.Fit(Rows);
        var loaded = (BatchNormalizationTransformer)Saved.Reload(fitted, Rows.Schema);
        IDataView normalized = fitted.Transform(Rows);
        foreach (BatchNormalizationTransformer layer in (BatchNormalizationTransformer[])
            [fitted, loaded, loaded.FineTune(Rows), fitted.Freeze()])
        {
            foreach (Action action in (Action[])
                [
                    () => layer.CompareStatistics(normalized),
                    () => layer.FineTune(normalized),
                    () => estimator.Fit(normalized, layer),
                    () => View.ML.Transforms.BatchNormalization(layer, trainable: true).Fit(normalized),
                    () => View.ML.Transforms.BatchNormalization(layer, new BatchNormalizationEstimator.Options
                    {
                        Columns = [new("X")],
                    }).Fit(normalized),
                ])
            {
                var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(action);
                StringAssert.Contains(error.Message, "column 'X'");
                StringAssert.Contains(error.Message, "marked as normalized");
                StringAssert.Contains(error.Message, "the data that goes into the transformer");
                Assert.IsTrue(error.IsMarked(), "The error is not ML.NET's.");
            }
        }
        Assert.IsFalse(fitted.CompareStatistics(Rows)["X"].IsDrift());
        Assert.AreEqual(400, fitted.FineTune(Rows).GetState("X").GetPopulation()!.Count[0]);
    }

    [TestMethod]
    public void A_layer_behind_another_normalization_in_one_column_goes_on_with_what_that_gives()
    {
        var chain = View.ML.Transforms.NormalizeMinMax("X").Append(View.ML.Transforms.BatchNormalization("X")).Fit(Rows);
        IDataView scaled = chain.First().Transform(Rows);
        foreach (BatchNormalizationTransformer layer in (BatchNormalizationTransformer[])
            [chain.LastTransformer, (BatchNormalizationTransformer)Saved.Reload(chain.LastTransformer, scaled.Schema)])
        {
            Assert.IsFalse(layer.CompareStatistics(scaled)["X"].IsDrift());
            Assert.AreEqual(400, layer.FineTune(scaled).GetState("X").GetPopulation()!.Count[0]);
        }
    }

    [TestMethod]
    public void Another_output_column_leaves_the_input_as_it_was()
    {
        BatchNormalizationTransformer layer = View.ML.Transforms.BatchNormalization("Y", "X").Fit(Rows);
        Assert.IsFalse(layer.CompareStatistics(layer.Transform(Rows))["Y"].IsDrift());
    }

    [TestMethod]
    public void To_normalize_a_column_twice_is_a_warning()
    {
        var context = new MLContext(1);
        BatchNormalizationTransformer layer = context.Transforms.BatchNormalization("X").Fit(Rows);
        List<string> warnings = Warnings.Of(context);
        IDataView once = layer.Transform(Rows);
        Assert.IsEmpty(warnings);
        layer.Transform(once);
        StringAssert.Contains(warnings.Single(), "Column 'X' is marked as normalized");
    }
}
