using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The passes of a batch normalization over rows of one layout: <see cref="FeatureKernels{T}"/> or
/// <see cref="ImageKernels{T}"/>. Arrays of one number per channel are padded to whole vectors.
/// </summary>
abstract unsafe class ChannelKernels
{
    /// <summary>Some rows: where the first one starts, and the floats from each row to the next.</summary>
    public readonly struct Rows(float* first, nint stride)
    {
        public float* First { get; } = first;

        public nint Stride { get; } = stride;

        public float* this[int row] => First + row * Stride;
    }

    /// <summary>The kernels for a layout.</summary>
    /// <param name="activation">What is applied to the normalized values.</param>
    /// <param name="row">Where the channels lie in a row.</param>
    /// <param name="columns">The values of a row in whole vectors.</param>
    /// <param name="ignoresNonFinite">Whether values that are not finite count in no sum and pass through.</param>
    public static ChannelKernels Of<TActivation>(
        TActivation activation, ChannelLayout row, int columns, bool ignoresNonFinite)
        where TActivation : struct, IFusedActivation
    {
        ChannelKernels kernels = row is { Outer: 1, Inner: 1 }
            ? new FeatureKernels<TActivation>(activation, columns)
            : new ImageKernels<TActivation>(activation, row);
        return ignoresNonFinite ? new IgnoringKernels<TActivation>(kernels, activation, row) : kernels;
    }

    /// <summary>Writes the moments of at least one row; M2 is not finite if a value is not.</summary>
    public abstract void AddMoments(Rows x, int rows, Moments result);

    /// <summary><c>y = activation((x − center)·scale + shift)</c>.</summary>
    public abstract void Normalize(Rows x, Rows y, int rows, float* center, float* scale, float* shift);

    /// <summary>
    /// Takes dy back through the activation, in place, and sums <c>dy</c> and <c>dy·(x − center)</c>.
    /// </summary>
    public abstract void SumGradients(
        Rows x, Rows y, Rows dy, int rows, float* center, double* gradients, double* products);

    /// <summary>
    /// <c>dx = scale·(dy − (x − center)·slope − shift)</c>, in place, after <see cref="SumGradients"/>.
    /// </summary>
    public abstract void FormGradient(
        Rows x, Rows dy, int rows, float* center, float* scale, float* slope, float* shift);

    /// <summary>Takes dy back through the activation and a fixed map, in place.</summary>
    public abstract void ScaleGradient(Rows x, Rows y, Rows dy, int rows, float* scale);
}

/// <summary>
/// Rows that may hold values that are not finite, and ignore them (<see cref="NonFinite.Ignore"/>): such a value counts
/// in no sum, and it and its gradient pass through the normalization unchanged. Blocks of rows that hold one are done
/// value by value.
/// </summary>
sealed unsafe class IgnoringKernels<TActivation>(ChannelKernels kernels, TActivation activation, ChannelLayout row)
    : ChannelKernels
    where TActivation : struct, IFusedActivation
{
    public override void AddMoments(Rows x, int rows, Moments result)
    {
        if (AreFinite(x, rows))
        {
            kernels.AddMoments(x, rows, result);
            return;
        }
        for (int channel = 0; channel < row.Channels; channel++)
        {
            result.At(channel).Clear();
            for (int run = channel; run < row.Outer * row.Channels; run += row.Channels)
            {
                for (int i = 0; i < row.Inner; i++)
                {
                    ScalarMoments.Merge(
                        x.First + (nint)run * row.Inner + i, rows, x.Stride, result.At(channel), ignoreNonFinite: true);
                }
            }
        }
    }

    public override void Normalize(Rows x, Rows y, int rows, float* center, float* scale, float* shift)
    {
        kernels.Normalize(x, y, rows, center, scale, shift);
        if (AreFinite(x, rows))
            return;
        for (int r = 0; r < rows; r++)
        {
            for (int i = 0; i < row.Count; i++)
            {
                float value = x[r][i];
                if (!float.IsFinite(value))
                    y[r][i] = activation.Forward(Vector512.Create(value))[0];
            }
        }
    }

    public override void SumGradients(
        Rows x, Rows y, Rows dy, int rows, float* center, double* gradients, double* products)
    {
        if (AreFinite(x, rows))
        {
            kernels.SumGradients(x, y, dy, rows, center, gradients, products);
            return;
        }
        new Span<double>(gradients, row.Channels).Clear();
        new Span<double>(products, row.Channels).Clear();
        for (int r = 0; r < rows; r++)
        {
            for (int i = 0; i < row.Count; i++)
            {
                float value = x[r][i], gradient = dy[r][i] = Activate(y[r][i], dy[r][i]);
                if (!float.IsFinite(value))
                    continue;
                int channel = row.ChannelOf(i);
                gradients[channel] += gradient;
                products[channel] += gradient * (double)(value - center[channel]);
            }
        }
    }

    public override void FormGradient(
        Rows x, Rows dy, int rows, float* center, float* scale, float* slope, float* shift)
    {
        if (AreFinite(x, rows))
        {
            kernels.FormGradient(x, dy, rows, center, scale, slope, shift);
            return;
        }
        for (int r = 0; r < rows; r++)
        {
            for (int i = 0; i < row.Count; i++)
            {
                float value = x[r][i];
                if (!float.IsFinite(value))
                    continue;
                int c = row.ChannelOf(i);
                ref float gradient = ref dy[r][i];
                gradient = scale[c] * (gradient - ((value - center[c]) * slope[c] + shift[c]));
            }
        }
    }

    public override void ScaleGradient(Rows x, Rows y, Rows dy, int rows, float* scale)
    {
        if (AreFinite(x, rows))
        {
            kernels.ScaleGradient(x, y, dy, rows, scale);
            return;
        }
        for (int r = 0; r < rows; r++)
        {
            for (int i = 0; i < row.Count; i++)
            {
                float gradient = Activate(y[r][i], dy[r][i]);
                bool finite = float.IsFinite(x[r][i]);
                dy[r][i] = finite ? gradient * scale[row.ChannelOf(i)] : gradient;
            }
        }
    }

    float Activate(float y, float dy) =>
        TActivation.IsUsed ? activation.Backward(Vector512.Create(y), Vector512.Create(dy))[0] : dy;

    bool AreFinite(Rows x, int rows)
    {
        for (int r = 0; r < rows; r++)
        {
            if (!Finite.All<float>(new(x[r], Simd.RoundUp(row.Count))))
                return false;
        }
        return true;
    }
}

/// <summary>
/// An activation that is applied in the same pass as the normalization before it. Its slope follows from its output
/// alone. NaN stays NaN.
/// </summary>
interface IFusedActivation
{
    static abstract bool IsUsed { get; }

    Vector512<float> Forward(Vector512<float> x);

    Vector512<float> Backward(Vector512<float> y, Vector512<float> dy);
}

readonly struct NoActivation : IFusedActivation
{
    public static bool IsUsed => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Forward(Vector512<float> x) => x;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> y, Vector512<float> dy) => dy;
}
