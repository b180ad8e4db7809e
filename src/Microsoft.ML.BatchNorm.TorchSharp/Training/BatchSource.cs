using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp.Training;

/// <summary>Where a session's batches come from.</summary>
abstract class BatchSource(TrainingData data, TensorShape input) : IDisposable
{
    protected TrainingData Data => data;

    /// <summary>
    /// Whether host memory is read for each batch, so that a step had better return before it is through.
    /// </summary>
    public abstract bool IsStreamed { get; }

    public static BatchSource Of(TrainingData data, TensorShape input, torch.Device device, long bytesOnDevice)
    {
        // What is not in the host's memory has no place in it under the name of a device either.
        bool hasMemory = data.Source is null || device.type != DeviceType.CPU;
        return hasMemory && (long)data.Rows * data.ValuesPerRow * sizeof(float) <= bytesOnDevice
            ? new ResidentData(data, input, device)
            : new StreamedData(data, input, device);
    }

    /// <summary>The rows on the device; inside a dispose scope.</summary>
    public abstract Batch Take(ReadOnlySpan<int> rows);

    /// <summary>Says which rows will be taken next.</summary>
    public virtual void Prefetch(ReadOnlySpan<int> rows)
    {
    }

    /// <exception cref="ArgumentException">There is no row, or one does not exist.</exception>
    public void Check(ReadOnlySpan<int> rows)
    {
        if (rows.IsEmpty)
            throw new ArgumentException("A batch must have a row.", nameof(rows));
        data.CheckRows(rows);
    }

    public abstract void Dispose();

    protected Tensor Shaped(Tensor features) =>
        input.Rank == 1
            ? features
            : features.reshape(Array.ConvertAll(input.WithRows((int)features.shape[0]), d => (long)d));
}
