using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Persistence;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Pipelines;

/// <summary>Pipelines of ML.NET's own components around batch normalization, on real data from a text file.</summary>
[TestClass]
public class DigitsTests
{
    [TestMethod]
    public void The_statistics_are_those_of_the_file()
    {
        IDataView digits = Digits.Load();
        float[][] rows = digits.Rows<float>("Pixels");
        var expected = new BatchStatistics(Digits.Slots);
        expected.Add(
            ChannelLayout.Features(rows.Length, Digits.Slots), (float[])[.. rows.SelectMany(row => row)]);
        BatchNormalizationState state =
            View.ML.Transforms.BatchNormalization("Features", "Pixels").Fit(digits).GetState("Features");
        Assert.AreEqual(1797, rows.Length);
        Agreement.Within(1e-13, expected.Mean, state.MovingMean);
    }

    [TestMethod]
    public void Cross_validation_of_a_linear_trainer_behind_it_is_accurate()
    {
        var context = new MLContext(1);
        var folds = context.MulticlassClassification.CrossValidate(
            Digits.Load(context), Digits.Pipeline(context), numberOfFolds: 5, labelColumnName: "Label");
        Assert.AreEqual(5, folds.Count);
        foreach (var fold in folds)
            Assert.IsTrue(fold.Metrics.MicroAccuracy > 0.9, $"A fold has {fold.Metrics.MicroAccuracy:P1}.");
        BatchNormalizationState[] states = [.. folds.Select(fold => Of(fold.Model).GetState("Features"))];
        Assert.AreEqual(5, states.Distinct().Count(), "Each fold has statistics of its own rows.");
    }

    [TestMethod]
    public void Four_cross_validations_at_once_find_the_same_statistics()
    {
        var runs = new BatchNormalizationState[4][];
        Parallel.For(0, runs.Length, run =>
        {
            var context = new MLContext(1);
            var pipeline = context.Transforms.Conversion.MapValueToKey("Label")
                .Append(context.Transforms.BatchNormalization("Features", "Pixels"))
                .Append(context.MulticlassClassification.Trainers.SdcaMaximumEntropy(maximumNumberOfIterations: 1));
            runs[run] = [.. context.MulticlassClassification
                .CrossValidate(Digits.Load(context), pipeline, numberOfFolds: 3, labelColumnName: "Label", seed: 5)
                .Select(fold => Of(fold.Model).GetState("Features"))];
        });
        Assert.HasCount(3, runs[0].Distinct().ToArray());
        foreach (BatchNormalizationState[] states in runs)
            CollectionAssert.AreEqual(runs[0], states);
    }

    [TestMethod]
    public void A_cache_checkpoint_before_it_changes_no_bit()
    {
        var context = new MLContext(1);
        IDataView digits = Digits.Load(context);
        BatchNormalizationTransformer plain =
            context.Transforms.BatchNormalization("Features", "Pixels").Fit(digits);
        Assert.AreEqual(plain.GetState("Features"), Of(Digits.Pipeline(context).Fit(digits)).GetState("Features"));
    }

    [TestMethod]
    public void A_transformer_chain_knows_its_schema_and_its_parts()
    {
        var context = new MLContext(1);
        IDataView digits = Digits.Load(context);
        TransformerChain<ITransformer> chain = Digits.Pipeline(context).Fit(digits);
        Assert.AreEqual(3, chain.Count());
        Assert.IsTrue(((ITransformer)chain).IsRowToRowMapper);
        CollectionAssert.AreEqual(
            Table.Schema(chain.GetOutputSchema(digits.Schema)), Table.Schema(chain.Transform(digits).Schema));
        Assert.IsTrue(chain.Transform(digits).Schema["Features"].IsNormalized());
    }

    [TestMethod]
    public void Appended_to_transformers_it_fits_what_they_deliver()
    {
        IDataView digits = Digits.Load();
        var chain = View.ML.Transforms.BatchNormalization("A", "Pixels")
            .Append(View.ML.Transforms.Concatenate("B", "A", "Pixels"))
            .Append(View.ML.Transforms.BatchNormalization("C", "B"));
        BatchNormalizationState state = chain.Fit(digits).LastTransformer.GetState("C");
        Assert.AreEqual(2 * Digits.Slots, state.Channels);
        BatchNormalizationState pixels = View.ML.Transforms.BatchNormalization("A", "Pixels").Fit(digits).GetState("A");
        for (int pixel = 0; pixel < Digits.Slots; pixel++)
        {
            Assert.AreEqual(0, state.MovingMean[pixel], 1e-5);
            Assert.AreEqual(pixels.MovingMean[pixel], state.MovingMean[Digits.Slots + pixel], 1e-13);
        }
    }

    [TestMethod]
    public void The_whole_chain_loads_in_a_process_that_has_never_touched_the_library()
    {
        var context = new MLContext(1);
        IDataView digits = Digits.Load(context), few = context.Data.TakeRows(digits, 50);
        TransformerChain<ITransformer> chain = Digits.Pipeline(context).Fit(digits);
        DirectoryInfo folder = Directory.CreateTempSubdirectory("digits-");
        try
        {
            string model = Path.Combine(folder.FullName, "model.zip"), data = Path.Combine(folder.FullName, "in.idv");
            context.Model.Save(chain, digits.Schema, model);
            using (FileStream file = File.Create(data))
                context.Data.SaveAsBinary(few, file);
            IDataView actual = context.Data.LoadFromBinary(FreshProcess.Transform(model, data));
            foreach (string column in (string[])["Features", "Score"])
            {
                Agreement.SameBits<float>(
                    [.. chain.Transform(few).Rows<float>(column).SelectMany(row => row)],
                    [.. actual.Rows<float>(column).SelectMany(row => row)], column);
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    static BatchNormalizationTransformer Of(ITransformer chain) =>
        ((IEnumerable<ITransformer>)chain).OfType<BatchNormalizationTransformer>().Single();
}
