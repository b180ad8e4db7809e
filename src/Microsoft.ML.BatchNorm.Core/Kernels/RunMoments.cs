using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// Count, mean and sum of squared deviations of each channel where its values lie in runs behind each other
/// (channels first). A run, or a segment of a long one, is centred on its own mean while it is in the first-level
/// cache, and merged in double.
/// </summary>
readonly unsafe struct RunMoments<T>(RunPlan plan, T* data, double* memory, int* failed, bool ignoreNonFinite)
    : IShardJob
    where T : unmanaged
{
    const int Segment = 4096;

    /// <summary>The results of a shard, one value a channel.</summary>
    public Moments Shard(int shard) => Moments.In(memory + 3 * (nint)plan.Channels * shard, plan.Channels);

    public void Run(int index)
    {
        RunPlan.Item item = plan.ItemAt(index);
        Moments result = Shard(item.Shard);
        for (int outer = item.FirstOuter; outer < item.FirstOuter + item.Outers; outer++)
        {
            for (int channel = item.FirstChannel; channel < item.FirstChannel + item.Channels; channel++)
            {
                T* run = data + plan.Offset(outer, channel);
                for (int at = 0; at < plan.Inner; at += Segment)
                {
                    int length = Math.Min(Segment, plan.Inner - at);
                    if (Merge(run + at, length, result.At(channel)))
                        continue;
                    if (!ignoreNonFinite)
                    {
                        *failed = 1;
                        return;
                    }
                    ScalarMoments.MergeFinite(run + at, length, 1, result.At(channel));
                }
            }
        }
    }

    /// <summary>Merges one segment; false where its sum is not finite.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static bool Merge(T* x, int length, Moments result)
    {
        int vectors = length & ~(Wide.Count - 1);
        Vector512<double> s0 = default, s1 = default, s2 = default, s3 = default;
        int i = 0;
        for (; i <= vectors - 2 * Wide.Count; i += 2 * Wide.Count)
        {
            Wide.Load(x + i, out var a0, out var a1);
            Wide.Load(x + i + Wide.Count, out var b0, out var b1);
            s0 += a0;
            s1 += a1;
            s2 += b0;
            s3 += b1;
        }
        if (i < vectors)
        {
            Wide.Load(x + i, out var a0, out var a1);
            s0 += a0;
            s1 += a1;
        }
        double sum = Wide.Sum((s0 + s1) + (s2 + s3));
        for (i = vectors; i < length; i++)
            sum += Wide.ToDouble(x[i]);

        double center = sum / length;
        if (!double.IsFinite(center))
            return false;

        Vector512<double> mean = Vector512.Create(center);
        Vector512<double> r0 = default, r1 = default, r2 = default, r3 = default;
        s0 = s1 = s2 = s3 = default;
        for (i = 0; i <= vectors - 2 * Wide.Count; i += 2 * Wide.Count)
        {
            Wide.Load(x + i, out var a0, out var a1);
            Wide.Load(x + i + Wide.Count, out var b0, out var b1);
            a0 -= mean;
            a1 -= mean;
            b0 -= mean;
            b1 -= mean;
            r0 += a0;
            r1 += a1;
            r2 += b0;
            r3 += b1;
            s0 = Wide.MultiplyAdd(a0, a0, s0);
            s1 = Wide.MultiplyAdd(a1, a1, s1);
            s2 = Wide.MultiplyAdd(b0, b0, s2);
            s3 = Wide.MultiplyAdd(b1, b1, s3);
        }
        if (i < vectors)
        {
            Wide.Load(x + i, out var a0, out var a1);
            a0 -= mean;
            a1 -= mean;
            r0 += a0;
            r1 += a1;
            s0 = Wide.MultiplyAdd(a0, a0, s0);
            s1 = Wide.MultiplyAdd(a1, a1, s1);
        }
        double rest = Wide.Sum((r0 + r1) + (r2 + r3)), square = Wide.Sum((s0 + s1) + (s2 + s3));
        for (i = vectors; i < length; i++)
        {
            double deviation = Wide.ToDouble(x[i]) - center;
            rest += deviation;
            square += deviation * deviation;
        }
        double correction = rest / length;
        MomentsMerge.Into(result, length, center + correction, Math.Max(square - rest * correction, 0));
        return true;
    }
}
