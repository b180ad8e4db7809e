using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Count, mean and sum of squared deviations of each channel whose values lie in runs (channels first), in one read of
/// the data. In each shard, a channel is centred on the mean of the start of its first run, which is still in a cache
/// when it is read again; <see cref="ColumnMoments{T}"/> explains why this loses next to nothing.
/// </summary>
readonly unsafe struct RunMoments<T>(RunPlan plan, T* data, double* memory, int* failed, bool ignoreNonFinite)
    : IShardJob
    where T : unmanaged
{
    const int LeastCenterLength = 1024;
    const int CentersInRun = 256;

    /// <summary>The results of a shard, one value per channel.</summary>
    public Moments Shard(int shard) => Moments.In(memory + Moments.Arrays * (nint)plan.Channels * shard, plan.Channels);

    public void Run(int index)
    {
        RunPlan.Item item = plan.ItemAt(index);
        Moments result = Shard(item.Shard);
        for (int channel = item.FirstChannel; channel < item.FirstChannel + item.Channels; channel++)
        {
            T* first = data + plan.Offset(item.FirstOuter, channel);
            int length = Math.Min(Math.Max(LeastCenterLength, plan.Inner / CentersInRun), plan.Inner);
            double center = Simd.ToDouble(*first), sum = 0, square = 0;
            Add(first, length, center, ref sum, ref square);
            result.Mean[channel] = center + sum / length;
        }
        // Until the end of the shard, Mean holds the center, M2 holds Σd², and sums holds Σd.
        double[] sums = new double[item.Channels];
        for (int outer = item.FirstOuter; outer < item.FirstOuter + item.Outers; outer++)
        {
            for (int c = 0; c < item.Channels; c++)
            {
                int channel = item.FirstChannel + c;
                Add(
                    data + plan.Offset(outer, channel), plan.Inner, result.Mean[channel], ref sums[c],
                    ref result.M2[channel]);
            }
        }
        for (int c = 0; c < item.Channels; c++)
        {
            Moments one = result.At(item.FirstChannel + c);
            ScalarMoments.Set(one, (double)item.Outers * plan.Inner, *one.Mean, sums[c], *one.M2);
            if (double.IsFinite(*one.M2))
                continue;
            one.Clear();
            for (int outer = item.FirstOuter; outer < item.FirstOuter + item.Outers; outer++)
            {
                T* run = data + plan.Offset(outer, item.FirstChannel + c);
                if (ScalarMoments.Merge(run, plan.Inner, 1, one, ignoreNonFinite) || ignoreNonFinite)
                    continue;
                *failed = 1;
                return;
            }
        }
    }

    /// <summary>Adds the sums of a run's deviations from <paramref name="center"/>, and of their squares.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Add(T* x, int length, double center, ref double sum, ref double square)
    {
        Vector512<double> centers = Vector512.Create(center);
        Vector512<double> sum0 = default, sum1 = default, sum2 = default, sum3 = default;
        Vector512<double> square0 = default, square1 = default, square2 = default, square3 = default;
        int i = 0;
        for (; i <= length - 2 * Simd.Chunk; i += 2 * Simd.Chunk)
        {
            Simd.LoadChunk(x + i, out var a0, out var a1);
            Simd.LoadChunk(x + i + Simd.Chunk, out var b0, out var b1);
            a0 -= centers;
            a1 -= centers;
            b0 -= centers;
            b1 -= centers;
            sum0 += a0;
            sum1 += a1;
            sum2 += b0;
            sum3 += b1;
            square0 = Simd.MultiplyAdd(a0, a0, square0);
            square1 = Simd.MultiplyAdd(a1, a1, square1);
            square2 = Simd.MultiplyAdd(b0, b0, square2);
            square3 = Simd.MultiplyAdd(b1, b1, square3);
        }
        double restSum = 0, restSquare = 0;
        for (; i < length; i++)
        {
            double deviation = Simd.ToDouble(x[i]) - center;
            restSum += deviation;
            restSquare += deviation * deviation;
        }
        sum += Simd.Sum((sum0 + sum1) + (sum2 + sum3)) + restSum;
        square += Simd.Sum((square0 + square1) + (square2 + square3)) + restSquare;
    }
}

/// <summary>How an array of outer × channels × inner values is cut into items of whole runs.</summary>
readonly struct RunPlan
{
    const int LeastShardOuters = 4;
    const int MostShardOuters = 256;

    public RunPlan(ChannelLayout layout)
    {
        (Outer, Channels, Inner) = (layout.Outer, layout.Channels, layout.Inner);
        ShardOuters = Math.Clamp(
            ShardJob.ItemElements / (Channels * Inner), LeastShardOuters, MostShardOuters);
        Shards = (Outer + ShardOuters - 1) / ShardOuters;
        TileChannels = Math.Clamp(ShardJob.ItemElements / (Inner * Math.Min(ShardOuters, Outer)), 1, Channels);
        Tiles = (Channels + TileChannels - 1) / TileChannels;
    }

    int Outer { get; }

    public int Channels { get; }

    public int Inner { get; }

    public int Shards { get; }

    int ShardOuters { get; }

    int TileChannels { get; }

    int Tiles { get; }

    public int Items => Shards * Tiles;

    public nint Offset(int outer, int channel) => ((nint)outer * Channels + channel) * Inner;

    public Item ItemAt(int item)
    {
        int shard = item / Tiles, tile = item % Tiles;
        int firstOuter = shard * ShardOuters, firstChannel = tile * TileChannels;
        return new Item(
            shard, firstOuter, Math.Min(ShardOuters, Outer - firstOuter),
            firstChannel, Math.Min(TileChannels, Channels - firstChannel));
    }

    public readonly record struct Item(int Shard, int FirstOuter, int Outers, int FirstChannel, int Channels);
}

/// <summary><c>Σ dy</c> and <c>Σ dy·(x − mean)</c> of each channel, in double, if its values lie in runs.</summary>
readonly unsafe struct RunGradients<T>(RunPlan plan, T* x, T* dy, double* means, double* memory) : IShardJob
    where T : unmanaged
{
    /// <summary>The first sums of a shard, one per channel; the second ones follow them.</summary>
    public double* Shard(int shard) => memory + 2 * (nint)plan.Channels * shard;

    public void Run(int index)
    {
        RunPlan.Item item = plan.ItemAt(index);
        double* first = Shard(item.Shard), second = first + plan.Channels;
        for (int outer = item.FirstOuter; outer < item.FirstOuter + item.Outers; outer++)
        {
            for (int channel = item.FirstChannel; channel < item.FirstChannel + item.Channels; channel++)
            {
                nint start = plan.Offset(outer, channel);
                Add(x + start, dy + start, plan.Inner, means[channel], first + channel, second + channel);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Add(T* x, T* dy, int length, double center, double* first, double* second)
    {
        Vector512<double> mean = Vector512.Create(center);
        Vector512<double> sum0 = default, sum1 = default, product0 = default, product1 = default;
        int i = 0;
        for (; i <= length - Simd.Chunk; i += Simd.Chunk)
        {
            Simd.LoadChunk(x + i, out var x0, out var x1);
            Simd.LoadChunk(dy + i, out var g0, out var g1);
            sum0 += g0;
            sum1 += g1;
            product0 = Simd.MultiplyAdd(g0, x0 - mean, product0);
            product1 = Simd.MultiplyAdd(g1, x1 - mean, product1);
        }
        double sum = Simd.Sum(sum0 + sum1), product = Simd.Sum(product0 + product1);
        for (; i < length; i++)
        {
            double gradient = Simd.ToDouble(dy[i]);
            sum += gradient;
            product += gradient * (Simd.ToDouble(x[i]) - center);
        }
        *first += sum;
        *second += product;
    }
}
