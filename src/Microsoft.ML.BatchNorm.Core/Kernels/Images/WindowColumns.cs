using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The values in all windows as a matrix <c>[seen × places]</c>, with one row per element of the window and channel,
/// and one column per place. With it a convolution is a product (im2col), and so are its gradients (col2im).
/// </summary>
static unsafe class WindowColumns
{
    /// <summary>The most places of a matrix.</summary>
    public const int MaxPlaces = 128;

    /// <summary>The floats of a row of so many places.</summary>
    public static int Stride(int places) => Simd.RoundUp(places);

    /// <summary>The floats of a matrix, with those that kernels may touch after it.</summary>
    public static int Room(int seen, int places) => checked(seen * Stride(places) + Simd.Floats);

    /// <summary>Writes the matrix of some places; the padding of its rows is arbitrary.</summary>
    /// <param name="windows">The windows.</param>
    /// <param name="padded">The channels, each with its padding.</param>
    /// <param name="first">The first place.</param>
    /// <param name="count">The number of places, at most <see cref="MaxPlaces"/>.</param>
    /// <param name="columns">The matrix, of <see cref="Room"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Gather(ImageWindows windows, float* padded, int first, int count, float* columns)
    {
        Run* runs = stackalloc Run[MaxPlaces];
        int runCount = Cut(windows, first, count, runs), rowStride = Stride(count), stride = windows.Stride.Width;
        for (int channel = 0; channel < windows.Channels; channel++, padded += windows.PaddedChannel)
        {
            for (int i = 0; i < windows.Size.Height; i++)
            {
                for (int j = 0; j < windows.Size.Width; j++, columns += rowStride)
                {
                    float* seen = padded + windows.OffsetOf(i, j);
                    // The last vector of a run may write too much; the next run overwrites that.
                    for (int run = 0; run < runCount; run++)
                    {
                        float* source = seen + runs[run].Offset, target = columns + runs[run].Column;
                        for (int k = 0; k < runs[run].Length; k += Simd.Floats)
                            StridedLine.Load(source + (nint)k * stride, stride, runs[run].Length - k).Store(target + k);
                    }
                }
            }
        }
    }

    /// <summary>Adds the matrix of some places to the padded channels that its values belong to.</summary>
    /// <inheritdoc cref="Gather"/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scatter(ImageWindows windows, float* columns, int first, int count, float* padded)
    {
        Run* runs = stackalloc Run[MaxPlaces];
        int runCount = Cut(windows, first, count, runs), rowStride = Stride(count), stride = windows.Stride.Width;
        for (int channel = 0; channel < windows.Channels; channel++, padded += windows.PaddedChannel)
        {
            for (int i = 0; i < windows.Size.Height; i++)
            {
                for (int j = 0; j < windows.Size.Width; j++, columns += rowStride)
                {
                    float* seen = padded + windows.OffsetOf(i, j);
                    for (int run = 0; run < runCount; run++)
                        StridedLine.Add(columns + runs[run].Column, runs[run].Length, seen + runs[run].Offset, stride);
                }
            }
        }
    }

    /// <summary>Cuts places into runs of one line each.</summary>
    static int Cut(ImageWindows windows, int first, int count, Run* runs)
    {
        int line = first / windows.LinePlaces, place = first % windows.LinePlaces, n = 0;
        for (int column = 0; column < count; n++, line++, place = 0)
        {
            int length = Math.Min(windows.LinePlaces - place, count - column);
            int offset = windows.OffsetOf(line) + place * windows.Stride.Width;
            runs[n] = new Run(column, length, offset);
            column += length;
        }
        return n;
    }

    readonly record struct Run(int Column, int Length, int Offset);
}
