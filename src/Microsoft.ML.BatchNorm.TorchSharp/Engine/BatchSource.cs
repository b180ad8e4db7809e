using System.Runtime.InteropServices;
using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>Where a session's batches come from.</summary>
abstract class BatchSource(TrainingData data, TensorShape input) : IDisposable
{
    /// <summary>
    /// Whether each batch is gathered on the host, so that a step should return before the device has finished it.
    /// </summary>
    public abstract bool IsStreamed { get; }

    public static BatchSource Of(TrainingData data, TensorShape input, torch.Device device, long bytesOnDevice)
    {
        // Data from a source need not fit in the host's memory, so it is not kept there if the device is the CPU.
        bool mayReside = data.Source is null || device.type != DeviceType.CPU;
        return mayReside && (long)data.Rows * data.ValuesPerRow * sizeof(float) <= bytesOnDevice
            ? new ResidentData(data, input, device)
            : new StreamedData(data, input, device);
    }

    /// <summary>Copies rows to the device. Call it inside a dispose scope.</summary>
    public abstract Batch Take(ReadOnlySpan<int> rows);

    /// <summary>Announces the rows that will be taken next.</summary>
    public virtual void Prefetch(ReadOnlySpan<int> rows)
    {
    }

    /// <exception cref="ArgumentException">There are no rows, or one does not exist.</exception>
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

/// <summary>Rows on the device.</summary>
/// <param name="Features">In the shape of a batch of the network's input.</param>
/// <param name="Targets">One row of targets per row.</param>
/// <param name="Weights">One weight per row, or null.</param>
sealed record Batch(Tensor Features, Tensor Targets, Tensor? Weights);

/// <summary>Data that is on the device from the beginning: only the numbers of a batch's rows are sent there.</summary>
sealed class ResidentData : BatchSource
{
    /// <summary>How many values go to the device at a time.</summary>
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

/// <summary>
/// Data that is too large for the device. Another thread gathers each batch in host memory, ahead of time if the batch
/// was announced. The host does not wait for the copy to the device.
/// </summary>
/// <remarks>
/// TorchSharp has no CUDA streams, so the copy starts after the work that the device already has. The gathering
/// overlaps with that work.
/// </remarks>
sealed class StreamedData(TrainingData data, TensorShape input, torch.Device device) : BatchSource(data, input)
{
    // Two, so that one can be filled while the device reads the other.
    readonly Staging[] stagings = [new(data, device), new(data, device)];
    Staging? taken;

    public override bool IsStreamed => true;

    public override void Prefetch(ReadOnlySpan<int> rows)
    {
        if (!Array.Exists(stagings, Holding(rows)))
            Free().Fill(rows.ToArray());
    }

    public override Batch Take(ReadOnlySpan<int> rows)
    {
        Staging? staging = Array.Find(stagings, Holding(rows));
        if (staging is null)
        {
            staging = Free();
            staging.Fill(rows.ToArray());
        }
        taken = staging;
        (Tensor features, Tensor targets, Tensor? weights) = staging.Take();
        return new(Shaped(features), targets, weights);
    }

    public override void Dispose() => Array.ForEach(stagings, staging => staging.Dispose());

    static Predicate<Staging> Holding(ReadOnlySpan<int> rows)
    {
        int[] wanted = rows.ToArray();
        return staging => staging.Rows.AsSpan().SequenceEqual(wanted);
    }

    /// <summary>The staging that was not taken last. The device has read it before it read the last one.</summary>
    Staging Free() => taken == stagings[0] ? stagings[1] : stagings[0];

    /// <summary>Host memory for one batch, pinned if the device is a GPU.</summary>
    sealed class Staging(TrainingData data, torch.Device device) : IDisposable
    {
        Tensor? memory;
        Task filling = Task.CompletedTask;

        public int[] Rows { get; private set; } = [];

        int Width => data.ValuesPerRow;

        /// <summary>Starts to gather rows.</summary>
        public void Fill(int[] rows)
        {
            filling.GetAwaiter().GetResult();
            Rows = rows;
            if (memory is null || memory.NumberOfElements < (long)rows.Length * Width)
                Allocate(rows.Length);
            filling = Task.Run(Gather);
        }

        /// <summary>The rows on the device.</summary>
        public (Tensor Features, Tensor Targets, Tensor? Weights) Take()
        {
            filling.GetAwaiter().GetResult();
            long from = 0;
            Tensor features = Copy(ref from, data.FeaturesPerRow), targets = Copy(ref from, data.TargetsPerRow);
            return (features, targets, data.HasWeights ? Copy(ref from, 1).reshape(-1) : null);
        }

        public void Dispose()
        {
            filling.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing).GetAwaiter().GetResult();
            memory?.Dispose();
        }

        void Allocate(int rows)
        {
            memory?.Dispose();
            using var scope = torch.NewDisposeScope();
            Tensor plain = torch.empty([(long)rows * Width], ScalarType.Float32, torch.CPU);
            memory = Tensors.Keep(device.type == DeviceType.CUDA ? plain.pin_memory() : plain);
        }

        Tensor Copy(ref long from, int perRow)
        {
            Tensor source = memory!.narrow(0, from, (long)Rows.Length * perRow).reshape(Rows.Length, perRow);
            from += (long)Rows.Length * perRow;
            return torch.empty([Rows.Length, perRow], ScalarType.Float32, device).copy_(source, true);
        }

        void Gather()
        {
            Span<float> to = MemoryMarshal.Cast<byte, float>(memory!.bytes);
            int features = Rows.Length * data.FeaturesPerRow, targets = Rows.Length * data.TargetsPerRow;
            data.Read(
                Rows, to[..features], to.Slice(features, targets),
                to.Slice(features + targets, data.HasWeights ? Rows.Length : 0));
        }
    }
}

/// <summary>How many rows go through a network at a time when the result does not depend on it.</summary>
static class ChunkRows
{
    /// <summary>At most so many values in the widest layer of a chunk.</summary>
    const int Values = 1 << 24;

    public static int Of(Network network, int rows)
    {
        // A layer without moving statistics normalizes with those of the rows that it is given.
        bool isWhole = network.Nodes.Any(
            node => node.Layer is BatchNormalizationLayer layer
                && layer.Options.UsesBatchStatistics(training: false));
        int widest = network.Nodes.Select(node => node.Output.Size).Append(network.InputShape.Size).Max();
        return isWhole ? Math.Max(1, rows) : Math.Clamp(Values / widest, 1, Math.Max(1, rows));
    }
}
