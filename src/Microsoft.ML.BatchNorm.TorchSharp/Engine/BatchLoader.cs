using System.Runtime.InteropServices;
using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>Brings the training data of a session to the device, one batch after the other.</summary>
abstract class BatchLoader(TrainingData data, TensorShape input) : IDisposable
{
    /// <summary>
    /// Whether the host gathers each batch. Then a step should return before the device has finished it, so that the
    /// host can gather the next batch meanwhile.
    /// </summary>
    public abstract bool IsStreaming { get; }

    /// <param name="data">The training data.</param>
    /// <param name="input">The shape of the network's input, without the batch.</param>
    /// <param name="device">The device.</param>
    /// <param name="bytesOnDevice">How many bytes of data may stay on the device.</param>
    public static BatchLoader Of(TrainingData data, TensorShape input, torch.Device device, long bytesOnDevice)
    {
        // If the device is the CPU, its memory is the host's, and data from a source may be too large for that.
        bool mayReside = data.Source is null || device.type != DeviceType.CPU;
        return mayReside && (long)data.Rows * data.ValuesPerRow * sizeof(float) <= bytesOnDevice
            ? new ResidentBatchLoader(data, input, device)
            : new StreamingBatchLoader(data, input, device);
    }

    /// <summary>Copies rows to the device. Call it inside a dispose scope.</summary>
    public abstract DeviceBatch Take(ReadOnlySpan<int> rows);

    /// <summary>Announces the rows that <see cref="Take"/> will be called with next.</summary>
    public virtual void Prefetch(ReadOnlySpan<int> rows)
    {
    }

    /// <exception cref="ArgumentException">There are no rows, or one does not exist.</exception>
    public void Check(ReadOnlySpan<int> rows, RowShares? shares = null)
    {
        if (rows.IsEmpty)
            throw new ArgumentException("A batch must have a row.", nameof(rows));
        data.CheckRows(rows, shares);
    }

    public abstract void Dispose();

    protected Tensor Shaped(Tensor features) =>
        input.Rank == 1
            ? features
            : features.reshape(Array.ConvertAll(input.WithRows((int)features.shape[0]), d => (long)d));
}

/// <summary>A batch of training rows on the device.</summary>
/// <param name="Features">The features, in the shape of the network's input with the batch as dimension 0.</param>
/// <param name="Targets">The targets, one row per row of the batch.</param>
/// <param name="Weights">One weight per row; null if the data has none.</param>
sealed record DeviceBatch(Tensor Features, Tensor Targets, Tensor? Weights);

/// <summary>Copies all data to the device once. For a batch, only the numbers of its rows are sent there.</summary>
sealed class ResidentBatchLoader : BatchLoader
{
    /// <summary>How many values are copied to the device at a time.</summary>
    const int ChunkValues = 1 << 22;

    readonly torch.Device device;
    readonly Tensor features, targets;
    readonly Tensor? weights;

    public ResidentBatchLoader(TrainingData data, TensorShape input, torch.Device device) : base(data, input)
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

    public override bool IsStreaming => false;

    public override DeviceBatch Take(ReadOnlySpan<int> rows)
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
/// Streams data that is too large for the device. Another thread gathers each batch in host memory, ahead of time if
/// the batch was announced. The host does not wait for the copy to the device.
/// </summary>
/// <remarks>
/// TorchSharp has no CUDA streams, so the copy starts only when the device has finished the work that it already has.
/// The host gathers meanwhile.
/// </remarks>
sealed class StreamingBatchLoader(TrainingData data, TensorShape input, torch.Device device) : BatchLoader(data, input)
{
    // There are two, so that one can be filled while the device reads the other.
    readonly StagingBuffer[] buffers = [new(data, device), new(data, device)];
    StagingBuffer? taken;

    public override bool IsStreaming => true;

    public override void Prefetch(ReadOnlySpan<int> rows)
    {
        if (!Array.Exists(buffers, Holding(rows)))
            Free().Fill(rows.ToArray());
    }

    public override DeviceBatch Take(ReadOnlySpan<int> rows)
    {
        StagingBuffer? buffer = Array.Find(buffers, Holding(rows));
        if (buffer is null)
        {
            buffer = Free();
            buffer.Fill(rows.ToArray());
        }
        taken = buffer;
        (Tensor features, Tensor targets, Tensor? weights) = buffer.Take();
        return new(Shaped(features), targets, weights);
    }

    public override void Dispose() => Array.ForEach(buffers, buffer => buffer.Dispose());

    static Predicate<StagingBuffer> Holding(ReadOnlySpan<int> rows)
    {
        int[] wanted = rows.ToArray();
        return buffer => buffer.Rows.AsSpan().SequenceEqual(wanted);
    }

    /// <summary>The buffer that was not taken last. The device read it before the other one.</summary>
    StagingBuffer Free() => taken == buffers[0] ? buffers[1] : buffers[0];

    /// <summary>Host memory for one batch, pinned if the device is a GPU.</summary>
    sealed class StagingBuffer(TrainingData data, torch.Device device) : IDisposable
    {
        Tensor? memory;
        Task filling = Task.CompletedTask;

        public int[] Rows { get; private set; } = [];

        int Width => data.ValuesPerRow;

        /// <summary>Starts to gather rows.</summary>
        public void Fill(int[] rows)
        {
            Wait();
            Rows = rows;
            if (memory is null || memory.NumberOfElements < (long)rows.Length * Width)
                Allocate(rows.Length);
            filling = Task.Run(Gather);
        }

        /// <summary>The rows on the device. If they could not be read, the buffer forgets them.</summary>
        public (Tensor Features, Tensor Targets, Tensor? Weights) Take()
        {
            Wait();
            if (filling.IsFaulted)
                Rows = [];
            filling.GetAwaiter().GetResult();
            long from = 0;
            Tensor features = Copy(ref from, data.FeaturesPerRow), targets = Copy(ref from, data.TargetsPerRow);
            return (features, targets, data.HasWeights ? Copy(ref from, 1).reshape(-1) : null);
        }

        public void Dispose()
        {
            Wait();
            memory?.Dispose();
        }

        void Wait() => filling.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing).GetAwaiter().GetResult();

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

/// <summary>
/// Finds features that are not finite, on the host, unless the network ignores them. All training data is checked once.
/// Batches are checked only if the data has such a feature.
/// </summary>
sealed class FeatureCheck
{
    readonly TrainingData data;
    readonly bool ignores, checksBatches;

    public FeatureCheck(Network network, TrainingData data)
    {
        this.data = data;
        ignores = network.IgnoresNonFinite;
        checksBatches = !ignores && !(data.Inspection?.AreFinite ?? Finite.All(data.Features.Span));
    }

    /// <exception cref="InvalidDataException">A feature of a row is not finite.</exception>
    public void Check(IReadOnlyCollection<int> rows)
    {
        if (!checksBatches)
            return;
        foreach (RowPart part in RowPart.Of(data, rows))
        {
            for (int i = 0; i < part.Rows.Length; i++)
                Check(part.Features.Slice(i * data.FeaturesPerRow, data.FeaturesPerRow), part.Rows[i]);
        }
    }

    /// <inheritdoc cref="Check(IReadOnlyCollection{int})"/>
    public void Check(ReadOnlySpan<float> features)
    {
        if (ignores || Finite.All(features))
            return;
        for (int row = 0; row * data.FeaturesPerRow < features.Length; row++)
            Check(features.Slice(row * data.FeaturesPerRow, data.FeaturesPerRow), row);
    }

    static void Check(ReadOnlySpan<float> features, int row)
    {
        int slot = Finite.IndexOf(features);
        if (slot >= 0)
            throw new InvalidDataException(FormattableString.Invariant(
                $"A feature is not finite: row {row}, slot {slot} has {features[slot]}. ")
                + "Replace it, or begin the network with a batch normalization of NonFinite.Ignore.");
    }
}
