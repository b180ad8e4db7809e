using System.Buffers;

namespace Microsoft.ML.BatchNorm;

public static partial class BatchNormalization
{
    /// <summary>
    /// The gradients of a loss by x, γ and β, from its gradient by y. If the forward call used the batch's statistics,
    /// they go through these; if it used the moving ones, through the fixed map. Renormalization's r and d are
    /// constants.
    /// </summary>
    /// <param name="pass">What the forward call returned.</param>
    /// <param name="x">The input of that call.</param>
    /// <param name="dy">The loss's gradient by its output, as long as <paramref name="x"/>.</param>
    /// <param name="dx">
    /// Receives the gradient by the input, as long as <paramref name="x"/>; may be the memory of
    /// <paramref name="dy"/>; or empty if you do not need it.
    /// </param>
    /// <param name="dGamma">Receives the gradient by γ, one value per channel; or empty if you do not need it.</param>
    /// <param name="dBeta">Receives the gradient by β, one value per channel; or empty if you do not need it.</param>
    /// <param name="threads">How many threads may work; the result has the same bits for any number.</param>
    /// <remarks>
    /// A frozen layer has gradients of γ and β too; <see cref="UpdateAffine"/> then ignores them. Where
    /// <see cref="NonFinite.Ignore"/> passed a value through unchanged, its gradient passes through unchanged too.
    /// </remarks>
    /// <exception cref="ArgumentException">A length does not fit, or the memory overlaps.</exception>
    /// <exception cref="InvalidDataException">
    /// A value of x or dy is not finite, and the options do not ignore it.
    /// </exception>
    public static void Backward(
        ForwardPass pass, ReadOnlySpan<float> x, ReadOnlySpan<float> dy, Span<float> dx, Span<float> dGamma = default,
        Span<float> dBeta = default, int threads = 1) =>
        RunBackward(pass, x, dy, dx, dGamma, dBeta, threads);

    /// <inheritdoc cref="Backward(ForwardPass, ReadOnlySpan{float}, ReadOnlySpan{float}, Span{float}, Span{float},
    /// Span{float}, int)"/>
    public static void Backward(
        ForwardPass pass, ReadOnlySpan<double> x, ReadOnlySpan<double> dy, Span<double> dx,
        Span<double> dGamma = default,
        Span<double> dBeta = default, int threads = 1) =>
        RunBackward(pass, x, dy, dx, dGamma, dBeta, threads);

    static void RunBackward<T>(
        ForwardPass pass, ReadOnlySpan<T> x, ReadOnlySpan<T> dy, Span<T> dx, Span<T> dGamma, Span<T> dBeta, int threads)
        where T : unmanaged
    {
        ArgumentNullException.ThrowIfNull(pass);
        pass.Layout.CheckLength(x.Length, nameof(x));
        pass.Layout.CheckLength(dy.Length, nameof(dy));
        if (!dx.IsEmpty)
        {
            Buffers.CheckOutput(x, dx, nameof(dx));
            Buffers.CheckOutput(dy, dx, nameof(dx));
        }
        CheckGradient(pass, dGamma.Length, nameof(dGamma));
        CheckGradient(pass, dBeta.Length, nameof(dBeta));
        Check.Positive(threads, nameof(threads));

        double[] gamma = new double[pass.State.Channels], beta = new double[pass.State.Channels];
        var groups = new RowGroups(pass.Layout, pass.Groups.Length);
        if (groups.Count == 1)
        {
            RunGroup(pass, pass.Groups[0], pass.Layout, pass.Mask, x, dy, dx, gamma, beta, threads);
        }
        else
        {
            for (int group = 0; group < groups.Count; group++)
            {
                T[] rows = groups.Gather(x, group), gradients = groups.Gather(dy, group);
                Span<T> target = dx.IsEmpty ? [] : gradients;
                RunGroup<T>(
                    pass, pass.Groups[group], groups.Layout(group), groups.Gather<bool>(pass.Mask, group), rows,
                    gradients, target, gamma, beta, threads);
                if (!dx.IsEmpty)
                    groups.Scatter(target, dx, group);
            }
        }
        for (int c = 0; c < dGamma.Length; c++)
            dGamma[c] = Simd.FromDouble<T>(gamma[c]);
        for (int c = 0; c < dBeta.Length; c++)
            dBeta[c] = Simd.FromDouble<T>(beta[c]);
    }

    static void RunGroup<T>(
        ForwardPass pass, Normalization normalization, ChannelLayout layout, ReadOnlySpan<bool> mask,
        ReadOnlySpan<T> x, ReadOnlySpan<T> dy, Span<T> dx, double[] gamma, double[] beta, int threads)
        where T : unmanaged
    {
        ReadOnlySpan<float> scale = pass.Options.Scale ? pass.State.Gamma : [];
        GradientSums sums = GradientSums.Of(layout, x, dy, normalization.Mean.ToArray(), threads);
        bool finite = sums.AreFinite();
        if (!finite && pass.Options.NonFinite == NonFinite.Throw)
        {
            NonFiniteInput.ThrowIfAny(layout, x, mask, nameof(x));
            NonFiniteInput.ThrowIfAny(layout, dy, default, nameof(dy));
        }
        if (!finite || !mask.IsEmpty)
            sums = RunSelected(pass.Options, normalization, layout, mask, x, dy, dx, scale);
        else if (!dx.IsEmpty)
            new InputGradient(normalization, scale, sums).Apply(layout, x, dy, dx, threads);

        for (int c = 0; c < gamma.Length; c++)
        {
            gamma[c] += normalization.Factor(c) * normalization.InverseDeviation[c] * sums.Product[c]
                + normalization.Offset(c) * sums.Gradient[c];
            beta[c] += sums.Gradient[c];
        }
    }

    /// <summary>The gradients if some positions do not count, value by value.</summary>
    static GradientSums RunSelected<T>(
        BatchNormalizationOptions options, Normalization normalization, ChannelLayout layout, ReadOnlySpan<bool> mask,
        ReadOnlySpan<T> x, ReadOnlySpan<T> dy, Span<T> dx, ReadOnlySpan<float> scale) where T : unmanaged
    {
        bool ignores = options.NonFinite == NonFinite.Ignore;
        var kept = new bool[x.Length];
        for (int i = 0; i < kept.Length; i++)
            kept[i] = mask.IsEmpty || mask[layout.PositionOf(i)];
        bool Normalized(T value, int i) => Simd.IsFinite(value) || (kept[i] && !ignores);

        GradientSums sums = GradientSums.Of(layout, x, dy, normalization.Mean.ToArray(), Normalized);
        var gradient = new InputGradient(normalization, scale, sums);
        for (int i = 0; i < dx.Length; i++)
        {
            dx[i] = Normalized(x[i], i)
                ? Simd.FromDouble<T>(
                    gradient.At(layout.ChannelOf(i), Simd.ToDouble(x[i]), Simd.ToDouble(dy[i]), kept[i]))
                : dy[i];
        }
        return sums;
    }

    static void CheckGradient(ForwardPass pass, int length, string name)
    {
        if (length != 0 && length != pass.State.Channels)
            throw new ArgumentException(
                $"The argument {name} has {length} values for {pass.State.Channels} channels.", name);
    }
}

/// <summary>
/// The gradient of the input, as one map per channel: with <c>s = γ·factor·inverse</c> and n values behind the
/// statistics, <c>dx = s·(dy − Σdy/n − (x − μ)·inverse²·Σdy(x − μ)/n)</c>. If the statistics are constants,
/// <c>dx = s·dy</c>.
/// </summary>
/// <remarks>
/// s is multiplied last: <c>s·inverse²</c> leaves the range of floats if the deviation is 1e-13 or 1e13.
/// </remarks>
readonly ref struct InputGradient
{
    readonly double[] mean, slope, shift, scale;

    public InputGradient(Normalization normalization, ReadOnlySpan<float> gamma, GradientSums sums)
    {
        mean = normalization.Mean.ToArray();
        int channels = mean.Length;
        slope = new double[channels];
        shift = new double[channels];
        scale = new double[channels];
        for (int c = 0; c < channels; c++)
        {
            double inverse = normalization.InverseDeviation[c],
                count = normalization.Count.IsEmpty ? 0 : normalization.Count[c];
            scale[c] = (gamma.IsEmpty ? 1 : gamma[c]) * normalization.Factor(c) * inverse;
            if (count == 0)
                continue;
            slope[c] = inverse * (inverse * (sums.Product[c] / count));
            shift[c] = sums.Gradient[c] / count;
        }
    }

    public unsafe void Apply<T>(
        ChannelLayout layout, ReadOnlySpan<T> x, ReadOnlySpan<T> dy, Span<T> dx, int threads) where T : unmanaged
    {
        double[] rest = shift;
        if (typeof(T) == typeof(float))
        {
            rest = new double[shift.Length];
            for (int c = 0; c < rest.Length; c++)
                rest[c] = shift[c] - (mean[c] - (float)mean[c]) * slope[c];
        }
        int inner = layout.IsColumns ? layout.Inner : 1;
        var parameters = new ChannelParameters<T>(inner, mean, slope, rest, scale);
        var plan = new ElementPlan(layout, parameters.Period);
        fixed (T* values = x, gradients = dy, target = dx, numbers = parameters.Values)
        {
            ShardJob.Run(
                new GradientKernel<T>(plan, values, gradients, target, numbers, parameters.Stride),
                plan.Items, threads);
        }
    }

    /// <summary>
    /// The gradient at one position, of a value that counts in the statistics or is only normalized with them.
    /// </summary>
    public double At(int channel, double x, double dy, bool counts) =>
        scale[channel] * (counts ? dy - (slope[channel] * (x - mean[channel]) + shift[channel]) : dy);
}

/// <summary>
/// <c>Σ dy</c> and <c>Σ dy·(x − mean)</c> of each channel over all positions. All gradients follow from them.
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

    public bool AreFinite() => Finite.All<double>(Gradient) && Finite.All<double>(Product);

    public static GradientSums Of<T>(
        ChannelLayout layout, ReadOnlySpan<T> x, ReadOnlySpan<T> dy, double[] mean, int threads) where T : unmanaged
    {
        var sums = new GradientSums(mean);
        fixed (T* values = x, gradients = dy)
        {
            if (layout.IsColumns)
                sums.AddColumns(layout, values, gradients, threads);
            else
                sums.AddRuns(layout, values, gradients, threads);
        }
        return sums;
    }

    /// <summary>
    /// The same, value by value, over those for which <paramref name="counts"/>, given value and index, is true.
    /// </summary>
    public static GradientSums Of<T>(
        ChannelLayout layout, ReadOnlySpan<T> x, ReadOnlySpan<T> dy, double[] mean, Func<T, int, bool> counts)
        where T : unmanaged
    {
        var sums = new GradientSums(mean);
        for (int i = 0; i < x.Length; i++)
        {
            if (counts(x[i], i))
                sums.Add(layout.ChannelOf(i), Simd.ToDouble(x[i]), Simd.ToDouble(dy[i]));
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
            int whole = plan.Width / Simd.Chunk * Simd.Chunk, repeated = plan.Padded - plan.Width;
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
            Add(i % columns / layout.Inner, Simd.ToDouble(x[start + i]), Simd.ToDouble(dy[start + i]));
    }

    /// <summary>The channel of a value in chunk space.</summary>
    static int ChannelAt(ColumnPlan plan, ChannelLayout layout, int at) =>
        (plan.FirstColumn(at / Simd.Chunk) + at % Simd.Chunk) % plan.Columns / layout.Inner;

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
