using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// Count, mean and sum of squared deviations of each channel where its values lie in runs behind each other (channels
/// first), in one read of the data. A channel of a shard is centred on the mean of the start of its first run, which is
/// read twice, out of a cache; <see cref="ColumnMoments{T}"/> tells why this loses next to nothing.
/// </summary>
readonly unsafe struct RunMoments<T>(RunPlan plan, T* data, double* memory, int* failed, bool ignoreNonFinite)
    : IShardJob
    where T : unmanaged
{
    const int LeastCenterLength = 1024;
    const int CentersInRun = 256;

    /// <summary>The results of a shard, one value a channel.</summary>
    public Moments Shard(int shard) => Moments.In(memory + Moments.Arrays * (nint)plan.Channels * shard, plan.Channels);

    public void Run(int index)
    {
        RunPlan.Item item = plan.ItemAt(index);
        Moments result = Shard(item.Shard);
        for (int channel = item.FirstChannel; channel < item.FirstChannel + item.Channels; channel++)
        {
            T* first = data + plan.Offset(item.FirstOuter, channel);
            int length = Math.Min(Math.Max(LeastCenterLength, plan.Inner / CentersInRun), plan.Inner);
            double center = Wide.ToDouble(*first), sum = 0, square = 0;
            Add(first, length, center, ref sum, ref square);
            result.Mean[channel] = center + sum / length;
        }
        // Until the end of the shard, Mean holds the center and M2 the sum Σd² beside Σd in sums.
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
        for (; i <= length - 2 * Wide.Count; i += 2 * Wide.Count)
        {
            Wide.Load(x + i, out var a0, out var a1);
            Wide.Load(x + i + Wide.Count, out var b0, out var b1);
            a0 -= centers;
            a1 -= centers;
            b0 -= centers;
            b1 -= centers;
            sum0 += a0;
            sum1 += a1;
            sum2 += b0;
            sum3 += b1;
            square0 = Wide.MultiplyAdd(a0, a0, square0);
            square1 = Wide.MultiplyAdd(a1, a1, square1);
            square2 = Wide.MultiplyAdd(b0, b0, square2);
            square3 = Wide.MultiplyAdd(b1, b1, square3);
        }
        double restSum = 0, restSquare = 0;
        for (; i < length; i++)
        {
            double deviation = Wide.ToDouble(x[i]) - center;
            restSum += deviation;
            restSquare += deviation * deviation;
        }
        sum += Wide.Sum((sum0 + sum1) + (sum2 + sum3)) + restSum;
        square += Wide.Sum((square0 + square1) + (square2 + square3)) + restSquare;
    }
}
