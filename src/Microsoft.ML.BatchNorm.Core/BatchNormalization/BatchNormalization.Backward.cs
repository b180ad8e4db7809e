using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

public static partial class BatchNormalization
{
    /// <summary>
    /// The gradients of a loss by x, γ and β, from its gradient by y: through the batch's statistics where the forward
    /// call used them, or through the fixed map where it used the moving ones. Renormalization's r and d are constants.
    /// </summary>
    /// <param name="pass">What the forward call returned.</param>
    /// <param name="x">The input of that call.</param>
    /// <param name="dy">The loss's gradient by its output, as long as <paramref name="x"/>.</param>
    /// <param name="dx">
    /// Receives the gradient by the input, as long as <paramref name="x"/>; may be the memory of
    /// <paramref name="dy"/>; or empty where it is not wanted.
    /// </param>
    /// <param name="dGamma">Receives that by γ, one value a channel; or empty where it is not wanted.</param>
    /// <param name="dBeta">Receives that by β, one value a channel; or empty where it is not wanted.</param>
    /// <param name="threads">How many threads may work; the result has the same bits for any number.</param>
    /// <remarks>
    /// γ's and β's gradients are formed for a frozen layer too; <see cref="UpdateAffine"/> is what leaves it as it is.
    /// A position that <see cref="NonFinite.Ignore"/> passed through unchanged passes its gradient through likewise.
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
            dGamma[c] = Wide.FromDouble<T>(gamma[c]);
        for (int c = 0; c < dBeta.Length; c++)
            dBeta[c] = Wide.FromDouble<T>(beta[c]);
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

    /// <summary>The gradients where some positions do not count, one value after the other.</summary>
    static GradientSums RunSelected<T>(
        BatchNormalizationOptions options, Normalization normalization, ChannelLayout layout, ReadOnlySpan<bool> mask,
        ReadOnlySpan<T> x, ReadOnlySpan<T> dy, Span<T> dx, ReadOnlySpan<float> scale) where T : unmanaged
    {
        bool ignores = options.NonFinite == NonFinite.Ignore;
        var kept = new bool[x.Length];
        for (int i = 0; i < kept.Length; i++)
            kept[i] = mask.IsEmpty || mask[layout.PositionOf(i)];
        bool Normalized(T value, int i) => Lanes.IsFinite(value) || (kept[i] && !ignores);

        GradientSums sums = GradientSums.Of(layout, x, dy, normalization.Mean.ToArray(), Normalized);
        var gradient = new InputGradient(normalization, scale, sums);
        for (int i = 0; i < dx.Length; i++)
        {
            dx[i] = Normalized(x[i], i)
                ? Wide.FromDouble<T>(
                    gradient.At(layout.ChannelOf(i), Wide.ToDouble(x[i]), Wide.ToDouble(dy[i]), kept[i]))
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
