using Microsoft.ML.BatchNorm.TorchSharp.Runtime;

namespace Microsoft.ML.BatchNorm.TorchSharp.Training;

/// <summary>Data that is on the device from the beginning: a batch is its rows' numbers sent there.</summary>
sealed class ResidentData : BatchSource
{
    /// <summary>Values that go to the device at a time.</summary>
    const int ChunkValues = 1 << 24;

    readonly torch.Device device;
    readonly Tensor features, targets;
    readonly Tensor? weights;

    public ResidentData(TrainingData data, TensorShape input, torch.Device device) : base(data, input)
    {
        this.device = device;
        features = Upload(data.Features.Span, data.FeaturesPerRow);
        targets = Upload(data.Targets.Span, data.TargetsPerRow);
        weights = data.Weights.IsEmpty ? null : Upload(data.Weights.Span, 1);
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

    Tensor Upload(ReadOnlySpan<float> values, int perRow)
    {
        using var scope = torch.NewDisposeScope();
        int rows = values.Length / perRow, chunk = Math.Max(1, ChunkValues / perRow);
        Tensor all = torch.empty([rows, perRow], ScalarType.Float32, device);
        for (int row = 0; row < rows; row += chunk)
        {
            int count = Math.Min(chunk, rows - row);
            all.narrow(0, row, count).copy_(
                Tensors.Upload(values.Slice(row * perRow, count * perRow), torch.CPU, count, perRow));
        }
        return Tensors.Keep(all);
    }
}
