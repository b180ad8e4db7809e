using Microsoft.ML.BatchNorm.Tests.Persistence;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Tests.Networks;

[TestClass]
public class ApplyNetworkTests
{
    static readonly IDataView Images = View.Vectors(View.Dense(View.Floats(20, 2 * 8 * 7)), 2, 8, 7);

    static readonly SavedNetwork Every = Samples.Saved(Samples.Every);

    [TestMethod]
    [DataRow(null)]
    [DataRow("conv2d")]
    [DataRow("Größe 大")]
    [DataRow("Größe 大/conv2d")]
    [DataRow("Größe 大/deep/leaky_re_lu")]
    [DataRow("flatten")]
    public void A_column_has_what_the_network_gives_up_to_a_layer(string? path)
    {
        if (path == "conv2d")
            path = "stem";
        var transformer = View.ML.Transforms.ApplyNetwork("Y", Every, path, "X").Fit(Images);
        NetworkNode[] nodes = [.. Every.Network.Nodes];
        int last = path is null
            ? nodes.Length - 1
            : Array.FindLastIndex(nodes, node => $"{node.Path}/".StartsWith($"{path}/", StringComparison.Ordinal));
        IDataView output = transformer.Transform(Images);
        CollectionAssert.AreEqual(
            nodes[last].Output.Dimensions.ToArray(),
            ((VectorDataViewType)output.Schema["Y"].Type).Dimensions.ToArray());
        var flat = new List<float>();
        foreach (float[] row in Images.Rows<float>("X"))
            flat.AddRange(Expected(row, last));
        float[] actual = [.. output.Rows<float>("Y").SelectMany(row => row)];
        Agreement.Within(1e-5, Sample.Widen(CollectionsMarshalSpan(flat)), Sample.Widen(actual));
    }

    [TestMethod]
    public void A_layer_that_is_not_there_is_ML_NET_s_argument_error()
    {
        foreach (string path in (string[])["nothing", "stem/nothing", "Größe 大/nothing", "dense/", ""])
        {
            var error = Assert.Throws<ArgumentException>(
                () => View.ML.Transforms.ApplyNetwork("Y", Every, path, "X"), path);
            Assert.AreEqual("until", error.ParamName, path);
            Assert.IsTrue(Runtime.Contracts.IsMarked(error), path);
        }
    }

    [TestMethod]
    public void A_transformer_without_a_network_is_ML_NET_s_argument_error()
    {
        ITransformer other = View.ML.Transforms.NormalizeMinMax("X").Fit(Images);
        var error = Assert.Throws<ArgumentException>(() => View.ML.Transforms.ApplyNetwork("Y", other, "dense", "X"));
        Assert.AreEqual("model", error.ParamName);
    }

    [TestMethod]
    public void A_state_that_does_not_fit_is_ML_NET_s_argument_error()
    {
        var other = new SavedNetwork(Every.Network, Network.Input(3).Dense(2).Initialize());
        var error = Assert.Throws<ArgumentException>(() => View.ML.Transforms.ApplyNetwork("Y", other));
        Assert.AreEqual("network", error.ParamName);
    }

    [TestMethod]
    public void A_column_of_another_size_is_ML_NET_s_schema_mismatch()
    {
        IDataView small = View.Vectors(View.Dense(View.Floats(2, 7)), 7);
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => View.ML.Transforms.ApplyNetwork("Y", Every, inputColumnName: "X").Fit(small));
        StringAssert.Contains(error.Message, "Vector<Single, 2, 8, 7>");
        StringAssert.Contains(error.Message, "Vector<Single, 7>");
    }

    [TestMethod]
    public void Columns_of_other_dimensions_and_sparse_rows_give_the_same()
    {
        float[][] rows = View.Floats(5, 112);
        rows[2].AsSpan(10, 90).Clear();
        var transformer = View.ML.Transforms.ApplyNetwork("Y", Every, inputColumnName: "X").Fit(Images);
        float[] expected =
            [.. transformer.Transform(View.Vectors(View.Dense(rows), 2, 8, 7)).Rows<float>("Y").SelectMany(row => row)];
        VBuffer<float>[] sparse = Array.ConvertAll(rows, row =>
        {
            int[] slots = [.. Enumerable.Range(0, row.Length).Where(slot => row[slot] != 0)];
            return new VBuffer<float>(row.Length, slots.Length, Array.ConvertAll(slots, slot => row[slot]), slots);
        });
        foreach (IDataView view in (IDataView[])[View.Vectors(View.Dense(rows), 112), View.Vectors(sparse, 112)])
        {
            Agreement.SameBits<float>(
                expected, [.. transformer.Transform(view).Rows<float>("Y").SelectMany(row => row)]);
        }
    }

    [TestMethod]
    public void Fitting_reads_no_row_and_transforming_computes_nothing_that_is_not_asked_for()
    {
        var unread = new Estimator.UnreadableView(Images);
        var transformer = View.ML.Transforms.ApplyNetwork("Y", Every, inputColumnName: "X").Fit(unread);
        Assert.HasCount(2, transformer.Transform(unread).Schema);
    }

    [TestMethod]
    public void A_process_that_has_never_touched_the_library_gives_the_same_bits()
    {
        var transformer = View.ML.Transforms.ApplyNetwork("Y", Every, "Größe 大", "X").Fit(Images);
        float[] actual = [.. FreshProcess.Transform(transformer, Images).Rows<float>("Y").SelectMany(row => row)];
        Agreement.SameBits<float>([.. transformer.Transform(Images).Rows<float>("Y").SelectMany(row => row)], actual);
    }

    /// <summary>The outputs of the first layers, one after the other, from the state's own numbers.</summary>
    static float[] Expected(float[] row, int last)
    {
        var values = new List<float[]>();
        foreach (NetworkNode node in Every.Network.Nodes.Take(last + 1))
        {
            float[][] read = [.. node.Inputs.Select(input => input < 0 ? row : values[input])];
            values.Add(node.Layer switch
            {
                AddLayer => [.. read[0].Zip(read[1], (left, right) => left + right)],
                ConcatLayer => [.. read.SelectMany(value => value)],
                MultiplyLayer => [.. read[0].Select((value, i) => value * read[1][i / (read[0].Length / read[1].Length)])],
                _ => Alone(node, read[0]),
            });
        }
        return values[last];

        static float[] Alone(NetworkNode node, float[] input)
        {
            Network one = Network.Of(node.Input, node.Layer with { Name = "it" });
            var state = new NetworkState(
                Every.State.TryGet(node.Path) is { } known ? [KeyValuePair.Create("it", known)] : []);
            float[] output = new float[node.Output.Size];
            new NetworkModel(one, state, foldBatchNormalization: false).Predict(input, output);
            return output;
        }
    }

    static ReadOnlySpan<float> CollectionsMarshalSpan(List<float> values) =>
        System.Runtime.InteropServices.CollectionsMarshal.AsSpan(values);
}
