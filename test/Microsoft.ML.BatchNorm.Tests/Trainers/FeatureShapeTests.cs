using Microsoft.ML.BatchNorm.Tests.Networks;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;

namespace Microsoft.ML.BatchNorm.Tests.Trainers;

/// <summary>A network whose input has dimensions takes them, or none, and no others of the same size.</summary>
[TestClass]
public class FeatureShapeTests
{
    const int Rows = 24;

    static readonly Network Images = Network.Input(2, 4, 5).Conv2D(3, 3).GlobalAveragePool2D().Dense(1);

    [TestMethod]
    [DataRow(4, 5, 2)]
    [DataRow(2, 5, 4)]
    [DataRow(8, 5)]
    [DataRow(2, 1, 4, 5)]
    public void Other_dimensions_of_the_same_size_are_refused(params int[] dimensions)
    {
        IDataView right = View(2, 4, 5), wrong = View(dimensions);
        var model = Trainer(Images).Fit(right);
        SavedNetwork saved = Samples.Saved(Images);
        foreach (Action action in (Action[])
            [
                () => Trainer(Images).Fit(wrong),
                () => Trainer(null, saved).Fit(wrong),
                () => Trainer(null).Fit(wrong, model),
                () => Trainer(Images).Fit(right, wrong),
                () => Transformer.View.ML.Transforms.ApplyNetwork("Y", saved, inputColumnName: "Features").Fit(wrong),
                () => Transformer.View.ML.Transforms.ApplyNetwork("Y", model, inputColumnName: "Features").Fit(wrong),
                () => model.GetOutputSchema(wrong.Schema),
            ])
        {
            var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(action);
            StringAssert.Contains(error.Message, "'Features'");
            StringAssert.Contains(error.Message, "Vector<Single, 2, 4, 5>");
            StringAssert.Contains(error.Message, $"got Vector<Single, {string.Join(", ", dimensions)}>");
        }
    }

    [TestMethod]
    [DataRow(4, 5, 2)]
    [DataRow(2, 5, 4)]
    [DataRow(8, 5)]
    public void A_trained_model_predicts_for_no_other_dimensions(params int[] dimensions)
    {
        IDataView right = View(2, 4, 5), wrong = View(dimensions);
        MLContext context = Transformer.View.ML;
        foreach (IEstimator<ITransformer> trainer in (IEstimator<ITransformer>[])
            [
                Trainer(Images),
                context.BinaryClassification.Trainers.BatchNormNetwork(new() { Network = Images, Epochs = 1 }),
                context.Transforms.Conversion.MapValueToKey("Label").Append(
                    context.MulticlassClassification.Trainers.BatchNormNetwork(new()
                    {
                        Network = Images.WithHead(2),
                        Epochs = 1,
                    })),
            ])
        {
            bool isRegression = trainer is BatchNormNetworkRegressionTrainer;
            IDataView train = isRegression ? right : Classes(right), other = isRegression ? wrong : Classes(wrong);
            ITransformer model = trainer.Fit(train);
            using var stream = new MemoryStream();
            context.Model.Save(model, train.Schema, stream);
            stream.Position = 0;
            foreach (ITransformer each in (ITransformer[])[model, new MLContext().Model.Load(stream, out _)])
            {
                Assert.HasCount(Rows, each.Transform(train).Preview().RowView);
                foreach (Action action in (Action[])
                    [() => each.Transform(other), () => each.GetRowToRowMapper(other.Schema)])
                {
                    var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(action);
                    StringAssert.Contains(error.Message, "feature column 'Features': expected Vector<Single, 2, 4, 5>");
                    StringAssert.Contains(error.Message, $"got Vector<Single, {string.Join(", ", dimensions)}>");
                }
            }
        }

        static IDataView Classes(IDataView view) => Transformer.View.ML.Transforms.CustomMapping<Number, Kind>(
            (row, kind) => kind.Label = row.Label > 3, null).Fit(view).Transform(view);
    }

    [TestMethod]
    [DataRow(new[] { 40 })]
    [DataRow(new[] { 1, 40 })]
    [DataRow(new[] { 1, 2, 4, 5 })]
    public void A_plain_vector_and_a_one_for_the_batch_are_taken(int[] dimensions)
    {
        IDataView right = View(2, 4, 5), plain = View(dimensions);
        var model = Trainer(Images).Fit(right);
        float[] expected = [.. model.Transform(right).GetColumn<float>("Score")];
        Agreement.SameBits<float>(expected, [.. model.Transform(plain).GetColumn<float>("Score")]);
        Agreement.SameBits<float>(
            expected, [.. Trainer(Images).Fit(plain).Transform(right).GetColumn<float>("Score")]);
        SavedNetwork saved = new(model.Model.Network, model.Model.State);
        var apply = Transformer.View.ML.Transforms.ApplyNetwork("Y", saved, inputColumnName: "Features").Fit(plain);
        Agreement.SameBits<float>(
            expected, [.. apply.Transform(plain).Rows<float>("Y").SelectMany(row => row)]);
    }

    [TestMethod]
    [DataRow(new[] { 2, 4, 5 })]
    [DataRow(new[] { 1, 2, 4, 5 })]
    public void A_network_without_dimensions_takes_any_of_its_size(int[] dimensions)
    {
        Network plain = Network.Input(40).Dense(1);
        var model = Trainer(plain).Fit(View(40));
        Agreement.SameBits<float>(
            [.. model.Transform(View(40)).GetColumn<float>("Score")],
            [.. model.Transform(View(dimensions)).GetColumn<float>("Score")]);
    }

    [TestMethod]
    public void A_factory_gets_the_dimensions_of_an_image_where_a_one_stands_for_the_batch()
    {
        var model = Transformer.View.ML.Regression.Trainers.BatchNormNetwork(new()
        {
            NetworkFactory = (input, outputs) =>
            {
                Assert.AreEqual(new TensorShape(2, 4, 5), input);
                return Network.Input(input.Dimensions).Conv2D(3, 3).GlobalAveragePool2D().Dense(outputs);
            },
            Epochs = 1,
        }).Fit(View(1, 2, 4, 5));
        Assert.AreEqual(Rows, model.Transform(View(1, 2, 4, 5)).GetColumn<float>("Score").Count());
    }

    static BatchNormNetworkRegressionTrainer Trainer(Network? network, SavedNetwork? pretrained = null) =>
        Transformer.View.ML.Regression.Trainers.BatchNormNetwork(
            new() { Network = network, Pretrained = pretrained, Epochs = 1, Seed = 1 });

    static IDataView View(params int[] dimensions)
    {
        SchemaDefinition definition = SchemaDefinition.Create(typeof(Row));
        definition["Features"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, dimensions);
        return Transformer.View.ML.Data.LoadFromEnumerable(
            Transformer.View.Floats(Rows, 40).Select(row => new Row { Features = row, Label = row[3] }).ToArray(),
            definition);
    }

    sealed class Number
    {
        public float Label { get; set; }
    }

    sealed class Kind
    {
        public bool Label { get; set; }
    }

    sealed class Row
    {
        public float[] Features { get; set; } = [];

        public float Label { get; set; }
    }
}
