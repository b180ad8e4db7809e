using System.Buffers;
using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// <c>Σ dy</c> and <c>Σ dy·(x − mean)</c> by channel, over all positions: what every gradient is made of.
/// </summary>
sealed unsafe class GradientSums
{
    readonly double[] mean;

    GradientSums(double[] mean)
    {
        this.mean = mean;
        Gradient = new double[mean.Length];
        Product = new double[mean.Length];
    }

    /// <summary><c>Σ dy</c>.</summary>
    public double[] Gradient { get; }

    /// <summary><c>Σ dy·(x − mean)</c>.</summary>
    public double[] Product { get; }

    public bool AreFinite() =>
        !Array.Exists(Gradient, sum => !double.IsFinite(sum)) && !Array.Exists(Product, sum => !double.IsFinite(sum));

    public static GradientSums Of<T>(
        ChannelLayout layout, ReadOnlySpan<T> x, ReadOnlySpan<T> dy, double[] mean, int threads) where T : unmanaged
    {
        var sums = new GradientSums(mean);
        fixed (T* values = x, gradients = dy)
        {
            if (BatchMoments.IsColumns(layout))
                sums.AddColumns(layout, values, gradients, threads);
            else
                sums.AddRuns(layout, values, gradients, threads);
        }
        return sums;
    }

    /// <summary>
    /// The same, one value after the other, over the positions where <paramref name="counts"/> is true of the index.
    /// </summary>
    public static GradientSums Of<T>(
        ChannelLayout layout, ReadOnlySpan<T> x, ReadOnlySpan<T> dy, double[] mean, Func<T, int, bool> counts)
        where T : unmanaged
    {
        var sums = new GradientSums(mean);
        for (int i = 0; i < x.Length; i++)
        {
            if (counts(x[i], i))
                sums.Add(layout.ChannelOf(i), Wide.ToDouble(x[i]), Wide.ToDouble(dy[i]));
        }
        return sums;
    }

    void Add(int channel, double x, double dy)
    {
        Gradient[channel] += dy;
        Product[channel] += dy * (x - mean[channel]);
    }

    void AddColumns<T>(ChannelLayout layout, T* x, T* dy, int threads) where T : unmanaged
    {
        int columns = layout.Channels * layout.Inner;
        var plan = new ColumnPlan(layout.Outer, columns);
        int length = 2 * plan.Padded * plan.Shards;
        double[] memory = ArrayPool<double>.Shared.Rent(length + plan.Padded);
        Array.Clear(memory, 0, length);
        fixed (double* sums = memory)
        {
            double* means = sums + length;
            for (int at = 0; at < plan.Padded; at++)
                means[at] = mean[ChannelAt(plan, layout, at)];
            var job = new ColumnGradients<T>(plan, x, dy, means, sums);
            ShardJob.Run(job, plan.Items, threads);
            int whole = plan.Width / Wide.Count * Wide.Count, repeated = plan.Padded - plan.Width;
            for (int shard = 0; shard < plan.Shards; shard++)
            {
                double* gradient = job.Shard(shard), product = gradient + plan.Padded;
                for (int at = 0; at < plan.Padded; at++)
                {
                    if (at >= whole && at < whole + repeated)
                        continue;
                    int channel = ChannelAt(plan, layout, at);
                    Gradient[channel] += gradient[at];
                    Product[channel] += product[at];
                }
            }
        }
        ArrayPool<double>.Shared.Return(memory);

        nint start = (nint)plan.Rows * plan.Width;
        for (int i = 0; i < plan.LeftOver * columns; i++)
            Add(i % columns / layout.Inner, Wide.ToDouble(x[start + i]), Wide.ToDouble(dy[start + i]));
    }

    /// <summary>The channel of a value in chunk space.</summary>
    static int ChannelAt(ColumnPlan plan, ChannelLayout layout, int at) =>
        (plan.FirstColumn(at / Wide.Count) + at % Wide.Count) % plan.Columns / layout.Inner;

    void AddRuns<T>(ChannelLayout layout, T* x, T* dy, int threads) where T : unmanaged
    {
        var plan = new RunPlan(layout);
        int length = 2 * plan.Channels * plan.Shards;
        double[] memory = ArrayPool<double>.Shared.Rent(length);
        Array.Clear(memory, 0, length);
        fixed (double* sums = memory, means = mean)
        {
            var job = new RunGradients<T>(plan, x, dy, means, sums);
            ShardJob.Run(job, plan.Items, threads);
            for (int shard = 0; shard < plan.Shards; shard++)
            {
                double* gradient = job.Shard(shard), product = gradient + plan.Channels;
                for (int c = 0; c < plan.Channels; c++)
                {
                    Gradient[c] += gradient[c];
                    Product[c] += product[c];
                }
            }
        }
        ArrayPool<double>.Shared.Return(memory);
    }
}
