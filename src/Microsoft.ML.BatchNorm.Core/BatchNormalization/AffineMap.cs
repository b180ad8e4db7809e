using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Inference folded to one map per channel, <c>y = (x − mean)·scale + shift</c> with <c>scale = γ/√(variance + ε)</c>
/// and <c>shift = β</c>: the hot path of serving. Immutable, and safe from any number of threads.
/// </summary>
/// <remarks>
/// The mean is subtracted first: <c>x·scale + (β − mean·scale)</c> loses the digits that matter if the mean is much
/// larger than the deviation. For floats, the nearest float to the mean is subtracted, and the shift makes up for the
/// difference.
/// </remarks>
public sealed class AffineMap
{
    /// <summary>Outputs of at least as many bytes are written past the caches, which could not hold them.</summary>
    const long StreamingBytes = 8 << 20;

    /// <summary>Runs shorter than this are not written past the caches, since too much of one is not aligned.</summary>
    const int StreamingRun = 128;

    readonly Normalization normalization;
    readonly float[] gamma, beta;
    readonly NonFinite nonFinite;
    readonly ChannelParameters<float> singles;
    readonly bool singlesSuffice;

    /// <summary>Scale and shift in double, made when first needed. All threads make the same ones.</summary>
    Exact? exact;

    /// <summary>The map over the kind of rows that was asked for last; most often the next one is the same.</summary>
    object? rows;

    /// <summary>The map of a layer in inference mode.</summary>
    /// <exception cref="ArgumentException">
    /// Options contradict each other, the layer keeps no moving statistics, or the state lacks the γ or β that the
    /// options ask for.
    /// </exception>
    public AffineMap(BatchNormalizationOptions options, BatchNormalizationState state)
        : this(new Normalization(Inference(options, state), state), options, state)
    {
    }

    internal AffineMap(Normalization normalization, BatchNormalizationOptions options, BatchNormalizationState state)
    {
        this.normalization = normalization;
        gamma = state.OwnGamma;
        beta = state.OwnBeta;
        nonFinite = options.NonFinite;
        singles = new ChannelParameters<float>(Channels, 3);
        ChannelMath.Affine(
            normalization.Mean, normalization.InverseDeviation, gamma, beta, normalization.Factors,
            normalization.Offsets, singles.Columns(0), singles.Columns(1), singles.Columns(2));
        singles.Repeat();
        singlesSuffice = singles.AreFinite() && FloatsHoldAll();
    }

    /// <summary>
    /// Whether floats are precise enough for the map: no scale is denormal, and no mean is so large that the difference
    /// from it may overflow.
    /// </summary>
    bool FloatsHoldAll()
    {
        const float smallest = 1.17549435e-38f, largest = float.MaxValue / (1 << 26);
        ReadOnlySpan<float> centers = singles.Columns(0), scales = singles.Columns(1);
        for (int c = 0; c < scales.Length; c++)
        {
            bool isZero = normalization.InverseDeviation[c] == 0 || gamma.Length > 0 && gamma[c] == 0;
            if (Math.Abs(centers[c]) > largest || Math.Abs(scales[c]) < smallest && !isZero)
                return false;
        }
        return true;
    }

    /// <summary>The number of channels.</summary>
    public int Channels => normalization.InverseDeviation.Length;

    /// <summary>What is subtracted first, per channel: the mean, in the input's unit.</summary>
    public ReadOnlySpan<double> Mean => normalization.Mean;

    /// <summary><see cref="Mean"/> as an array.</summary>
    public ImmutableArray<double> MeanArray => ImmutableCollectionsMarshal.AsImmutableArray(InDouble.Mean);

    /// <summary>The factor per channel, <c>γ/√(variance + ε)</c>, in the inverse of the input's unit.</summary>
    public ReadOnlySpan<double> Scale => InDouble.Scale;

    /// <summary><see cref="Scale"/> as an array, which is not a copy.</summary>
    public ImmutableArray<double> ScaleArray => ImmutableCollectionsMarshal.AsImmutableArray(InDouble.Scale);

    /// <summary>What is added last, per channel: β.</summary>
    public ReadOnlySpan<double> Shift => InDouble.Shift;

    /// <summary><see cref="Shift"/> as an array, which is not a copy.</summary>
    public ImmutableArray<double> ShiftArray => ImmutableCollectionsMarshal.AsImmutableArray(InDouble.Shift);

    Exact InDouble => exact ??= new Exact(normalization, gamma, beta);

    /// <summary>Maps one row of features.</summary>
    /// <param name="x">One value per channel.</param>
    /// <param name="y">The output, as long as <paramref name="x"/>; may be the same memory.</param>
    /// <exception cref="ArgumentException">
    /// A length differs from the number of channels, or the memory overlaps.
    /// </exception>
    /// <exception cref="InvalidDataException">A value is not finite, and the options do not ignore it.</exception>
    public void Apply(ReadOnlySpan<float> x, Span<float> y) => Apply(ChannelLayout.Features(1, Channels), x, y);

    /// <inheritdoc cref="Apply(ReadOnlySpan{float}, Span{float})"/>
    public void Apply(ReadOnlySpan<double> x, Span<double> y) => Apply(ChannelLayout.Features(1, Channels), x, y);

    /// <summary>Maps an array.</summary>
    /// <param name="layout">Where the channels lie in <paramref name="x"/> and <paramref name="y"/>.</param>
    /// <param name="x">One value per element of the layout.</param>
    /// <param name="y">The output, as long as <paramref name="x"/>; may be the same memory.</param>
    /// <param name="threads">How many threads may work; the result has the same bits for any number.</param>
    /// <exception cref="ArgumentException">
    /// A length or the number of channels does not fit, or the memory overlaps.
    /// </exception>
    /// <exception cref="InvalidDataException">A value is not finite, and the options do not ignore it.</exception>
    public void Apply(ChannelLayout layout, ReadOnlySpan<float> x, Span<float> y, int threads = 1) =>
        Apply(layout, x, y, default, threads);

    /// <inheritdoc cref="Apply(ChannelLayout, ReadOnlySpan{float}, Span{float}, int)"/>
    public void Apply(ChannelLayout layout, ReadOnlySpan<double> x, Span<double> y, int threads = 1) =>
        Apply(layout, x, y, default, threads);

    /// <summary>Whether values that are not finite pass through unchanged.</summary>
    internal bool IgnoresNonFinite => nonFinite == NonFinite.Ignore;

    /// <summary>The map over single rows of a layout, which has as many channels as the map.</summary>
    internal RowMap<T> ForRows<T>(ChannelLayout row) where T : unmanaged
    {
        if (rows is RowMap<T> made && made.Layout == row)
            return made;
        var map = new RowMap<T>(this, row, typeof(T) == typeof(float) && !singlesSuffice ? null : Parameters<T>(row));
        rows = map;
        return map;
    }

    internal void Apply<T>(
        ChannelLayout layout, ReadOnlySpan<T> x, Span<T> y, ReadOnlySpan<bool> mask, int threads) where T : unmanaged
    {
        layout.CheckMade(nameof(layout));
        if (layout.Channels != Channels)
            throw new ArgumentException(
                $"The layout has {layout.Channels} channels, but the map has {Channels}.", nameof(layout));
        layout.CheckLength(x.Length, nameof(x));
        Buffers.CheckOutput(x, y, nameof(y));
        Check.Positive(threads, nameof(threads));
        bool throws = nonFinite == NonFinite.Throw;
        if (throws && Buffers.AreSame(x, y))
            NonFiniteInput.ThrowIfAny(layout, x, mask, nameof(x));
        if (!ApplyUnchecked(layout, x, y, threads) && throws)
            NonFiniteInput.ThrowIfAny(layout, x, mask, nameof(x));
    }

    /// <summary>Maps without an error; false if an input is not finite.</summary>
    internal unsafe bool ApplyUnchecked<T>(ChannelLayout layout, ReadOnlySpan<T> x, Span<T> y, int threads)
        where T : unmanaged
    {
        if (typeof(T) == typeof(float) && !singlesSuffice)
            return ApplyInDouble(layout, x, y);
        ChannelParameters<T> parameters = Parameters<T>(layout);
        var plan = new ElementPlan(layout, parameters.Period);
        bool streaming =
            (long)layout.Count * sizeof(T) >= StreamingBytes && (plan.IsFlat || plan.Inner >= StreamingRun);
        int found = 0;
        fixed (T* source = x, target = y, values = parameters.Values)
        {
            ShardJob.Run(
                new AffineKernel<T>(
                    plan, source, target, values, parameters.Stride, IgnoresNonFinite, streaming, &found),
                plan.Items, threads);
        }
        if (streaming)
            Interlocked.MemoryBarrier();
        return found == 0;
    }

    /// <summary>For maps that floats cannot represent, such as that of a column with a deviation of 1e-42.</summary>
    bool ApplyInDouble<T>(ChannelLayout layout, ReadOnlySpan<T> x, Span<T> y) where T : unmanaged
    {
        ReadOnlySpan<double> mean = Mean, scale = Scale, shift = Shift;
        bool finite = true;
        for (int i = 0; i < x.Length; i++)
        {
            int c = layout.ChannelOf(i);
            T value = x[i];
            bool isFinite = Simd.IsFinite(value);
            finite &= isFinite;
            y[i] = isFinite || !IgnoresNonFinite
                ? Simd.FromDouble<T>((Simd.ToDouble(value) - mean[c]) * scale[c] + shift[c])
                : value;
        }
        return finite;
    }

    ChannelParameters<T> Parameters<T>(ChannelLayout layout) where T : unmanaged
    {
        int inner = layout.IsColumns ? layout.Inner : 1;
        object parameters =
            typeof(T) != typeof(float) ? InDouble.Parameters(inner) : inner == 1 ? singles : Singles(inner);
        return (ChannelParameters<T>)parameters;
    }

    ChannelParameters<float> Singles(int inner)
    {
        double[] mean = Mean.ToArray(), rest = new double[Channels];
        Exact numbers = InDouble;
        for (int c = 0; c < rest.Length; c++)
            rest[c] = numbers.Shift[c] - (mean[c] - (float)mean[c]) * numbers.Scale[c];
        return new ChannelParameters<float>(inner, mean, numbers.Scale, rest);
    }

    static BatchNormalizationOptions Inference(BatchNormalizationOptions options, BatchNormalizationState state)
    {
        BatchNormalization.CheckState(options, state);
        return options.TrackMovingStatistics
            ? options
            : throw new ArgumentException(
                "A layer with TrackMovingStatistics = false normalizes each batch with its own statistics; " +
                "there is no map to fold.", nameof(options));
    }

    /// <summary>The map's numbers in double.</summary>
    sealed class Exact
    {
        readonly ChannelParameters<double> parameters;

        public Exact(Normalization normalization, float[] gamma, float[] beta)
        {
            Mean = normalization.Mean.ToArray();
            Scale = new double[Mean.Length];
            Shift = new double[Mean.Length];
            for (int c = 0; c < Mean.Length; c++)
            {
                double factor = gamma.Length > 0 ? gamma[c] : 1;
                Scale[c] = factor * normalization.Factor(c) * normalization.InverseDeviation[c];
                Shift[c] = (beta.Length > 0 ? beta[c] : 0) + factor * normalization.Offset(c);
            }
            parameters = new ChannelParameters<double>(1, Mean, Scale, Shift);
        }

        public double[] Mean { get; }

        public double[] Scale { get; }

        public double[] Shift { get; }

        public ChannelParameters<double> Parameters(int inner) =>
            inner == 1 ? parameters : new ChannelParameters<double>(inner, Mean, Scale, Shift);
    }
}
