using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

[TestClass]
public class SaveLoadTests
{
    [TestMethod]
    public void A_loaded_transformer_has_the_same_columns_options_and_state()
    {
        BatchNormalizationTransformer transformer = Layers.Transformer(
            Layers.Column(4, StoredOptions.Unusual), Layers.Column(4, StoredOptions.Bare, "Z"),
            Layers.Column(4, output: "X"));
        IDataView input = View.Vectors(View.Dense(View.Floats(8, 4)), 4);
        Model.AssertSame(transformer, (BatchNormalizationTransformer)Model.Reload(transformer, input.Schema));
    }

    [TestMethod]
    public void A_loaded_transformer_has_the_same_settings()
    {
        IDataView input = View.Vectors(View.Dense(View.Floats(8, 4)), 4);
        foreach (BatchNormalizationEstimator.Options settings in (BatchNormalizationEstimator.Options[])
            [new(), Layers.Settings, new() { Seed = 0 }, new() { MaskColumnName = "" }])
        {
            var transformer = new BatchNormalizationTransformer(View.ML, settings, [Layers.Column(4)]);
            var loaded = (BatchNormalizationTransformer)Model.Reload(transformer, input.Schema);
            Assert.AreEqual(Model.Values(settings), Model.Values(loaded.Settings));
        }
    }

    [TestMethod]
    public void The_engine_and_the_threads_stay_with_their_process()
    {
        IDataView input = View.Vectors(View.Dense(View.Floats(8, 4)), 4);
        BatchNormalizationEstimator.Options settings = Layers.Settings;
        (settings.NumberOfThreads, settings.Engine) = (1, new CpuEngine());
        var transformer = new BatchNormalizationTransformer(View.ML, settings, [Layers.Column(4)]);
        var loaded = (BatchNormalizationTransformer)Model.Reload(transformer, input.Schema);
        Assert.AreEqual(Model.Values(Layers.Settings), Model.Values(loaded.Settings));
        Assert.AreEqual(Model.Values(settings), Model.Values(transformer.Freeze().Unfreeze().Settings));
    }

    [TestMethod]
    public void The_population_behind_the_statistics_is_kept()
    {
        var statistics = new BatchStatistics(2);
        statistics.Add(ChannelLayout.Features(3, 2), (float[])[1, 2, 3, 4, 5, 7]);
        BatchNormalizationOptions options = new() { MovingStatistics = MovingStatistics.Population };
        BatchNormalizationState state = BatchNormalization.Initialize(options, 2).WithPopulation(statistics);
        var transformer = Layers.Transformer(Layers.Column(options, state));
        IDataView input = View.Vectors(View.Dense(View.Floats(1, 2)), 2);
        var loaded = (BatchNormalizationTransformer)Model.Reload(transformer, input.Schema);
        Assert.AreEqual(state, loaded.GetState("Y"));
        CollectionAssert.AreEqual((double[])[3, 3], loaded.GetState("Y").GetPopulation()!.Count.ToArray());
    }

    [TestMethod]
    public void A_chain_with_other_components_loads_and_transforms_alike()
    {
        IDataView input = View.Vectors(View.Dense(View.Floats(30, 5)), 5);
        var chain = new TransformerChain<ITransformer>(
            Layers.Transformer(Layers.Column(5, output: "A")),
            View.ML.Transforms.NormalizeMinMax("B", "X").Fit(input),
            Layers.Transformer(Layers.Column(5, StoredOptions.Unusual, "C", "B")));
        ITransformer loaded = Model.Reload(chain, input.Schema);
        foreach (string column in (string[])["A", "C"])
        {
            float[] expected = [.. chain.Transform(input).Rows<float>(column).SelectMany(row => row)];
            Agreement.SameBits<float>(
                expected, [.. loaded.Transform(input).Rows<float>(column).SelectMany(row => row)]);
        }
    }

    [TestMethod]
    public void An_entry_loads_as_the_row_mapper_of_a_schema_too()
    {
        BatchNormalizationTransformer transformer = Layers.Transformer(2);
        DataViewSchema schema = View.Vectors(View.Dense(View.Floats(1, 2)), 2).Schema;
        IRowMapper mapper = Entry.LoadByCatalog<IRowMapper, SignatureLoadRowMapper>(Entry.Save(transformer), schema);
        Assert.AreEqual(schema["X"].Type, mapper.GetOutputColumns().Single().Type);
        Model.AssertSame(transformer, (BatchNormalizationTransformer)mapper.GetTransformer());
    }

    [TestMethod]
    public void A_process_that_has_never_touched_the_library_loads_a_model_and_gives_the_same_bits()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("model-");
        try
        {
            string model = Path.Combine(folder.FullName, "model.zip"), data = Path.Combine(folder.FullName, "in.idv");
            IDataView input = View.Vectors(View.Dense(View.Floats(25, 12)), 3, 4);
            var chain = new TransformerChain<ITransformer>(
                Layers.Transformer(3, BatchNormalizationOptions.PyTorch with { Axis = 1 }),
                Layers.Transformer(Layers.Column(4, output: "Z", input: "Y")));
            View.ML.Model.Save(chain, input.Schema, model);
            using (FileStream file = File.Create(data))
                View.ML.Data.SaveAsBinary(input, file);

            string output = FreshProcess.Transform(model, data);
            IDataView expected = chain.Transform(input), actual = View.ML.Data.LoadFromBinary(output);
            foreach (string column in (string[])["Y", "Z"])
            {
                Assert.AreEqual(expected.Schema[column].Type, actual.Schema[column].Type);
                Assert.IsTrue(actual.Schema[column].IsNormalized());
                Agreement.SameBits<float>(
                    [.. expected.Rows<float>(column).SelectMany(row => row)],
                    [.. actual.Rows<float>(column).SelectMany(row => row)]);
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
