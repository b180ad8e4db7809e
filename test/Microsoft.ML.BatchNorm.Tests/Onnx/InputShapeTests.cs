using Microsoft.ML.BatchNorm.Tests.Networks;
using Microsoft.ML.BatchNorm.Tests.Transformer;

namespace Microsoft.ML.BatchNorm.Tests.Onnx;

/// <summary>
/// Behind transforms that ML.NET exports with other dimensions than their columns have: a one-hot row is [1, n], and a
/// concatenated image is flat.
/// </summary>
[TestClass]
public class InputShapeTests
{
    static readonly MLContext context = new(1);

    [TestMethod]
    public void Categories()
    {
        IDataView view = Blobs.View(context, count: 30);
        SavedNetwork network = Samples.Saved(Network.Input(3).Dense(2));
        ITransformer chain = context.Transforms.Categorical.OneHotEncoding("Hot", "Color")
            .Append(context.Transforms.BatchNormalization("Y", "Hot"))
            .Append(context.Transforms.ApplyNetwork("Z", network, inputColumnName: "Hot"))
            .Append(context.Transforms.Conversion.MapKeyToValue("Name", "Label"))
            .Fit(view);
        Exported.AssertSameValues(OnnxModel.Of(chain, view), chain, view, "Y", "Z", "Name");
    }

    [TestMethod]
    public void Images()
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(9, 60)), 3, 4, 5);
        SavedNetwork network = Samples.Saved(Network.Input(3, 4, 5).Conv2D(2, 3));
        ITransformer chain = context.Transforms.Concatenate("All", "X")
            .Append(context.Transforms.BatchNormalization(new()
            {
                Columns = [new("Y", "All")],
                Layer = new() { Axis = 1 },
            }))
            .Append(context.Transforms.ApplyNetwork("Z", network, inputColumnName: "All"))
            .Fit(view);
        Exported.AssertSameValues(OnnxModel.Of(chain, view), chain, view, "Y", "Z");
    }

    [TestMethod]
    public void A_column_that_takes_the_place_of_an_input()
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(9, 60)), 3, 4, 5);
        ITransformer chain = context.Transforms.Concatenate("X", "X")
            .Append(context.Transforms.BatchNormalization(new()
            {
                Columns = [new("X")],
                Layer = new() { Axis = 2 },
            }))
            .Fit(view);
        Exported.AssertSameValues(OnnxModel.Of(chain, view), chain, view, "X");
    }
}
