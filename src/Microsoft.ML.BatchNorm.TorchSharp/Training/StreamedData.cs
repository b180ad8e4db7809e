using System.Runtime.InteropServices;
using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp.Training;

/// <summary>
/// Data that is too large for the device: each batch is gathered in host memory, by another thread where it was told of
/// in time, and copied from there without the host waiting for it.
/// </summary>
/// <remarks>
/// TorchSharp has no CUDA streams, so that a copy takes its turn behind the work already given to the device; what
/// overlaps with that work is the gathering.
/// </remarks>
sealed class StreamedData(TrainingData data, TensorShape input, torch.Device device) : BatchSource(data, input)
{
    // Two: one is read by the device while the other is filled.
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

    /// <summary>The one that was not taken last: what was taken before that, the device has read since.</summary>
    Staging Free() => taken == stagings[0] ? stagings[1] : stagings[0];

    /// <summary>Host memory for one batch, pinned where the device is another.</summary>
    sealed class Staging(TrainingData data, torch.Device device) : IDisposable
    {
        Tensor? memory;
        Task filling = Task.CompletedTask;

        public int[] Rows { get; private set; } = [];

        int Width => data.ValuesPerRow;

        /// <summary>Begins to gather rows.</summary>
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
            memory = Runtime.Tensors.Keep(device.type == DeviceType.CUDA ? plain.pin_memory() : plain);
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
