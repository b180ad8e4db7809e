using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>Inference by ONNX Runtime of the graph that ML.NET writes for a network, on memory that is kept.</summary>
sealed class OnnxServing : IDisposable
{
    readonly InferenceSession session;
    readonly RunOptions options = new();
    readonly OrtValue input, output;
    readonly string[] inputs = ["X"], outputs = ["Y.output"];
    readonly OrtValue[] inputValues, outputValues;

    public OnnxServing(Subject subject, NetworkState state, float[] features, int rows, int threads)
    {
        using var how = new SessionOptions { IntraOpNumThreads = threads, InterOpNumThreads = 1 };
        session = new InferenceSession(Graph(subject.Network, state), how);
        Results = new float[rows * subject.Network.OutputShape.Size];
        input = OrtValue.CreateTensorValueFromMemory(features, subject.InputShape(rows));
        output = OrtValue.CreateTensorValueFromMemory(Results, [rows, subject.Network.OutputShape.Size]);
        (inputValues, outputValues) = ([input], [output]);
    }

    /// <summary>What the last run gave.</summary>
    public float[] Results { get; }

    public void Run() => session.Run(options, inputs, inputValues, outputs, outputValues);

    public void Dispose()
    {
        output.Dispose();
        input.Dispose();
        options.Dispose();
        session.Dispose();
    }

    static byte[] Graph(Network network, NetworkState state)
    {
        var ml = new MLContext();
        SchemaDefinition definition = SchemaDefinition.Create(typeof(Row));
        definition["X"].ColumnType =
            new VectorDataViewType(NumberDataViewType.Single, network.InputShape.Dimensions.ToArray());
        IDataView view = ml.Data.LoadFromEnumerable([new Row { X = new float[network.InputShape.Size] }], definition);
        ITransformer transformer = ml.Transforms
            .ApplyNetwork("Y", new SavedNetwork(network, state), inputColumnName: "X").Fit(view);
        using var stream = new MemoryStream();
        ml.Model.ConvertToOnnx(transformer, view, stream);
        return stream.ToArray();
    }

    sealed class Row
    {
        public float[] X { get; set; } = [];
    }
}
