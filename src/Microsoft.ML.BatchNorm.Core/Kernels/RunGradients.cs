using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary><c>Σ dy</c> and <c>Σ dy·(x − mean)</c> of each channel, in double, where its values lie in runs.</summary>
readonly unsafe struct RunGradients<T>(RunPlan plan, T* x, T* dy, double* means, double* memory) : IShardJob
    where T : unmanaged
{
    /// <summary>The first sums of a shard, one a channel; the second ones follow them.</summary>
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
        for (; i <= length - Wide.Count; i += Wide.Count)
        {
            Wide.Load(x + i, out var x0, out var x1);
            Wide.Load(dy + i, out var g0, out var g1);
            sum0 += g0;
            sum1 += g1;
            product0 = Wide.MultiplyAdd(g0, x0 - mean, product0);
            product1 = Wide.MultiplyAdd(g1, x1 - mean, product1);
        }
        double sum = Wide.Sum(sum0 + sum1), product = Wide.Sum(product0 + product1);
        for (; i < length; i++)
        {
            double gradient = Wide.ToDouble(dy[i]);
            sum += gradient;
            product += gradient * (Wide.ToDouble(x[i]) - center);
        }
        *first += sum;
        *second += product;
    }
}
