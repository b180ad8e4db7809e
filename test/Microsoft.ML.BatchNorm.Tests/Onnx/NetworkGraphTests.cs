using Microsoft.ML.BatchNorm.Tests.Networks;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Onnx;

/// <summary>Networks as graphs: every kind of layer, and every shape of a column.</summary>
[TestClass]
public class NetworkGraphTests
{
    [TestMethod]
    public void Every_kind_of_layer()
    {
        IDataView images = View.Vectors(View.Dense(View.Floats(5, 2 * 8 * 7)), 2, 8, 7);
        OnnxModel model = Check(Samples.Every, images);
        CollectionAssert.DoesNotContain(model.Operators, "Dropout");
        foreach (string type in (string[])
            [
                "Conv", "BatchNormalization", "Relu", "MaxPool", "AveragePool", "LeakyRelu", "Erf", "GlobalAveragePool",
                "Flatten", "Gemm", "Sigmoid", "Tanh", "Add", "Concat",
            ])
        {
            CollectionAssert.Contains(model.Operators, type);
        }
    }

    static IEnumerable<object[]> Branching => Graphs.Names.Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(Branching))]
    public void A_network_that_branches(string name)
    {
        Network network = Graphs.Named(name);
        int[] shape = network.InputShape.Dimensions.ToArray();
        Check(network, View.Vectors(View.Dense(View.Floats(5, network.InputShape.Size)), shape));
    }

    [TestMethod]
    public void Layers_of_images_up_to_one_that_gives_images()
    {
        IDataView images = View.Vectors(View.Dense(View.Floats(3, 2 * 8 * 7)), 2, 8, 7);
        Check(Samples.Every.Until("Größe 大"), images);
    }

    [TestMethod]
    public void A_flat_column_into_a_network_of_images()
    {
        IDataView rows = View.Vectors(View.Dense(View.Floats(3, 2 * 8 * 7)), 112);
        Check(Samples.Every, rows);
    }

    [TestMethod]
    public void A_column_of_images_into_a_network_of_features()
    {
        IDataView images = View.Vectors(View.Dense(View.Floats(7, 12)), 3, 2, 2);
        Check(Network.Input(12).BatchNormalization().Dense(5, useBias: false).Gelu().Dense(2), images);
    }

    [TestMethod]
    public void One_slot_into_one_output()
    {
        IDataView rows = View.Vectors(View.Dense(View.Floats(7, 1)), 1);
        Check(Network.Input(1).Dense(1), rows);
        Check(Network.Input(1, 1, 1).Conv2D(1, 1).BatchNormalization(), rows);
    }

    [TestMethod]
    public void A_network_of_dropout_alone_is_nothing()
    {
        OnnxModel model = Check(Network.Input(3).Dropout(0.5), View.Vectors(View.Dense(View.Floats(2, 3)), 3));
        CollectionAssert.AreEqual(new[] { "Reshape" }, model.Operators);
    }

    [TestMethod]
    [DataRow(9)]
    [DataRow(10)]
    [DataRow(11)]
    [DataRow(12)]
    public void Every_opset_that_the_converter_offers_can_be_asked_for(int opSet)
    {
        IDataView images = View.Vectors(View.Dense(View.Floats(2, 2 * 8 * 7)), 2, 8, 7);
        Network withoutNormalization = Network.Input(2, 8, 7).Gelu().MaxPool2D();
        foreach (ApplyNetworkTransformer transformer in (ApplyNetworkTransformer[])
            [Apply(Samples.Every, images), Apply(withoutNormalization, images)])
        {
            OnnxModel model = OnnxModel.Of(transformer, images, opSet);
            Assert.AreEqual(opSet, model.OpSet);
            Exported.AssertSameValues(model, transformer, images, "Y");
        }
    }

    [TestMethod]
    public void Behind_batch_normalization_of_the_column_and_in_place()
    {
        IDataView rows = View.Vectors(View.Dense(View.Floats(20, 6)), 6);
        var normalization = Layers.Transformer(6);
        Network network = Network.Input(6).Dense(6).ReLU().Dense(6);
        var saved = Samples.Saved(network);
        ITransformer chain = normalization.Append(
            View.ML.Transforms.ApplyNetwork("Y", saved).Fit(normalization.Transform(rows)));
        Exported.AssertSameValues(OnnxModel.Of(chain, rows), chain, rows, "Y");
    }

    static OnnxModel Check(Network network, IDataView view)
    {
        ApplyNetworkTransformer transformer = Apply(network, view);
        OnnxModel model = OnnxModel.Of(transformer, view);
        Exported.AssertSameValues(model, transformer, view, "Y");
        return model;
    }

    static ApplyNetworkTransformer Apply(Network network, IDataView view) => View.ML.Transforms.ApplyNetwork(
        "Y", Samples.Saved(network), inputColumnName: "X").Fit(view);
}
