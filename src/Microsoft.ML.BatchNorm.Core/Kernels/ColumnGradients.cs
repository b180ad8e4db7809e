using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary><c>Σ dy</c> and <c>Σ dy·(x − mean)</c> of each column, in double, in chunk space.</summary>
readonly unsafe struct ColumnGradients<T>(ColumnPlan plan, T* x, T* dy, double* means, double* memory) : IShardJob
    where T : unmanaged
{
    /// <summary>The first sums of a shard; the second ones follow them.</summary>
    public double* Shard(int shard) => memory + 2 * (nint)plan.Padded * shard;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(int index)
    {
        ColumnPlan.Item item = plan.ItemAt(index);
        nint stride = plan.Width;
        double* first = Shard(item.Shard), second = first + plan.Padded;
        for (int row = 0; row < item.Rows; row += 4)
        {
            int rows = Math.Min(4, item.Rows - row);
            nint start = (item.FirstRow + (nint)row) * stride;
            for (int chunk = item.FirstChunk; chunk < item.FirstChunk + item.Chunks; chunk++)
            {
                int to = chunk * Wide.Count;
                T* values = x + start + plan.FirstColumn(chunk), gradients = dy + start + plan.FirstColumn(chunk);
                Vector512<double> mean0 = Vector512.Load(means + to), mean1 = Vector512.Load(means + to + 8);
                Vector512<double> sum0 = default, sum1 = default, product0 = default, product1 = default;
                for (int r = 0; r < rows; r++, values += stride, gradients += stride)
                {
                    Wide.Load(values, out var x0, out var x1);
                    Wide.Load(gradients, out var g0, out var g1);
                    sum0 += g0;
                    sum1 += g1;
                    product0 = Wide.MultiplyAdd(g0, x0 - mean0, product0);
                    product1 = Wide.MultiplyAdd(g1, x1 - mean1, product1);
                }
                Add(first + to, sum0, sum1);
                Add(second + to, product0, product1);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Add(double* target, Vector512<double> lower, Vector512<double> upper)
    {
        (Vector512.Load(target) + lower).Store(target);
        (Vector512.Load(target + 8) + upper).Store(target + 8);
    }
}
