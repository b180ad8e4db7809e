using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Trainers;

/// <summary>Predicts row by row for one cursor or prediction engine, and like them for one thread at a time.</summary>
/// <param name="host">Whose errors they are.</param>
/// <param name="model">The model, which any number of threads may share.</param>
sealed class NetworkRow(IExceptionContext host, NetworkModel model)
{
    readonly int inputs = model.Network.InputShape.Size;
    readonly float[] dense = new float[model.Network.InputShape.Size];

    /// <summary>The network's outputs for a row, sparse or dense: NaN where it refuses a feature that is not finite.</summary>
    public void Predict(in VBuffer<float> features, Span<float> outputs)
    {
        if (features.Length != inputs)
            throw host.Except($"A row has {features.Length} features; the network has {inputs} inputs.");
        ReadOnlySpan<float> row = dense;
        if (features.IsDense)
            row = features.GetValues();
        else
            features.CopyTo(dense);
        if (!model.TryPredict(row, outputs))
            outputs.Fill(float.NaN);
    }

    /// <summary>The one output of a network that has one.</summary>
    public void Score(in VBuffer<float> features, ref float score) => Predict(features, new Span<float>(ref score));
}
