using Microsoft.ML.BatchNorm.TorchSharp.Runtime;
using Microsoft.ML.BatchNorm.Training;

namespace Microsoft.ML.BatchNorm.TorchSharp.Training;

/// <summary>Data that is on the device from the beginning: a batch is its rows' numbers sent there.</summary>
sealed class ResidentData : BatchSource
{
    /// <summary>Values that go to the device at a time.</summary>
    const int ChunkValues = 1 << 22;

    readonly torch.Device device;
    readonly Tensor features, targets;
    readonly Tensor? weights;

    public ResidentData(TrainingData data, TensorShape input, torch.Device device) : base(data, input)
    {
        this.device = device;
        features = Empty(data.FeaturesPerRow);
        targets = Empty(data.TargetsPerRow);
        weights = data.HasWeights ? Empty(1) : null;
        int first = 0;
        foreach (RowPart part in RowPart.Of(data, new RowSet(data), Math.Max(1, ChunkValues / data.ValuesPerRow)))
        {
            Upload(features, part.Features);
            Upload(targets, part.Targets);
            if (weights is not null)
                Upload(weights, part.Weights);
            first += part.Rows.Length;
        }

        Tensor Empty(int perRow) =>
            Tensors.Keep(torch.empty([data.Rows, perRow], ScalarType.Float32, device));

        void Upload(Tensor all, ReadOnlySpan<float> values)
        {
            using var scope = torch.NewDisposeScope();
            int perRow = (int)all.shape[1], rows = values.Length / perRow;
            all.narrow(0, first, rows).copy_(Tensors.Upload(values, torch.CPU, rows, perRow));
        }
    }

    public override bool IsStreamed => false;

    public override Batch Take(ReadOnlySpan<int> rows)
    {
        long[] numbers = new long[rows.Length];
        for (int i = 0; i < numbers.Length; i++)
            numbers[i] = rows[i];
        Tensor index = Tensors.Upload<long>(numbers, device, numbers.Length);
        return new(
            Shaped(features.index_select(0, index)), targets.index_select(0, index),
            weights?.index_select(0, index).reshape(-1));
    }

    public override void Dispose()
    {
        features.Dispose();
        targets.Dispose();
        weights?.Dispose();
    }
}
