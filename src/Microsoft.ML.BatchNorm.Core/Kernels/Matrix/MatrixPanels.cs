using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The right factor of a product, <c>[k × n]</c>, as panels of 32 columns: a <see cref="PackedMatrix"/>, or a matrix in
/// plain rows.
/// </summary>
readonly unsafe struct MatrixPanels
{
    readonly float* start;
    readonly nint width, lastWidth;

    MatrixPanels(
        float* start, nint distance, nint width, nint lastWidth, int steps, int columns, PackedMatrix? owner)
    {
        this.start = start;
        this.width = width;
        this.lastWidth = lastWidth;
        Distance = distance;
        Steps = steps;
        Columns = columns;
        Owner = owner;
    }

    /// <summary>k, the number of rows and of steps of the sums.</summary>
    public int Steps { get; }

    /// <summary>n, the number of columns.</summary>
    public int Columns { get; }

    /// <summary>From one panel to the next.</summary>
    public nint Distance { get; }

    /// <summary>What must stay reachable as long as the memory is used.</summary>
    public PackedMatrix? Owner { get; }

    /// <summary>Whether the rows of a last panel of one vector follow each other, as in a packed matrix.</summary>
    public bool IsPacked => lastWidth == Simd.Floats;

    /// <summary>
    /// A matrix in plain rows. It needs no packing, and is as fast if the left factor has many rows.
    /// </summary>
    /// <param name="b">The matrix, <c>[k × n]</c>.</param>
    /// <param name="stride">From one of its rows to the next, at least n.</param>
    /// <param name="steps">k.</param>
    /// <param name="columns">n, a multiple of 16.</param>
    /// <exception cref="ArgumentException">n is not a multiple of 16.</exception>
    public static MatrixPanels OfRows(float* b, nint stride, int steps, int columns)
    {
        if (columns % Simd.Floats != 0)
            throw new ArgumentException($"{columns} columns are no multiple of {Simd.Floats}.", nameof(columns));
        return new(b, PackedMatrix.PanelColumns, stride, stride, steps, columns, owner: null);
    }

    /// <summary>Memory of the caller with the layout of a <see cref="PackedMatrix"/>.</summary>
    /// <param name="packed">The first panel, at a multiple of 64.</param>
    /// <param name="steps">k.</param>
    /// <param name="columns">n.</param>
    public static MatrixPanels OfPacked(float* packed, int steps, int columns) => new(
        packed, (nint)PackedMatrix.PanelColumns * steps, PackedMatrix.PanelColumns, Simd.Floats, steps, columns,
        owner: null);

    public static implicit operator MatrixPanels(PackedMatrix matrix) => new(
        matrix.Panel(0), matrix.PanelLength, PackedMatrix.PanelColumns, Simd.Floats, matrix.Steps,
        matrix.Columns, matrix);

    /// <summary>
    /// The first row's value at a column. A product's right factor must begin at a multiple of 16; a left factor may
    /// begin anywhere.
    /// </summary>
    public float* At(int column) =>
        start + column / PackedMatrix.PanelColumns * Distance + column % PackedMatrix.PanelColumns;

    /// <summary>From one row to the next in a column's panel.</summary>
    public nint WidthAt(int column) =>
        Columns - column + column % PackedMatrix.PanelColumns > Simd.Floats ? width : lastWidth;
}

/// <summary>
/// The right factor of a product, <c>[k × n]</c>, as panels of 32 columns; the last one has 16 if that is enough. In a
/// panel, the columns of one step of the sum lie next to each other, and the padding of the last vector is zero. Each
/// packing overwrites the one before. Different threads may pack different panels.
/// </summary>
sealed unsafe class PackedMatrix
{
    public const int PanelColumns = 32;

    readonly AlignedMemory<float> memory;

    /// <summary>Room for a matrix; before the first packing it is zero.</summary>
    /// <param name="steps">k, the number of rows and of steps of the sum, at least 0.</param>
    /// <param name="columns">n, the number of columns, at least 0.</param>
    public PackedMatrix(int steps, int columns)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(steps);
        ArgumentOutOfRangeException.ThrowIfNegative(columns);
        Steps = steps;
        Columns = columns;
        Panels = (columns + PanelColumns - 1) / PanelColumns;
        int vectors = (columns + Simd.Floats - 1) / Simd.Floats;
        memory = new AlignedMemory<float>((long)vectors * Simd.Floats * steps);
    }

    /// <summary>k: the rows of the matrix, the steps of the sum.</summary>
    public int Steps { get; }

    /// <summary>n.</summary>
    public int Columns { get; }

    /// <summary>The number of panels, the unit in which packing can be shared between threads.</summary>
    public int Panels { get; }

    /// <summary>Packs <c>[k × n]</c> in rows, <paramref name="stride"/> floats apart.</summary>
    public void Pack(float* source, nint stride) => Pack(source, stride, 0, Panels);

    /// <summary>Packs the panels from <paramref name="first"/> to before <paramref name="end"/>.</summary>
    public void Pack(float* source, nint stride, int first, int end)
    {
        for (int panel = first; panel < end; panel++)
        {
            int column = panel * PanelColumns;
            MatrixPacking.Rows(source + column, stride, Steps, ColumnsOf(panel), Panel(panel));
        }
        GC.KeepAlive(memory);
    }

    /// <summary>Packs the transpose of <c>[n × k]</c> in rows, <paramref name="stride"/> floats apart.</summary>
    public void PackTransposed(float* source, nint stride) => PackTransposed(source, stride, 0, Panels);

    /// <summary>Packs the panels from <paramref name="first"/> to before <paramref name="end"/>.</summary>
    public void PackTransposed(float* source, nint stride, int first, int end)
    {
        for (int panel = first; panel < end; panel++)
        {
            nint column = panel * PanelColumns;
            MatrixPacking.Columns(source + column * stride, stride, Steps, ColumnsOf(panel), Panel(panel));
        }
        GC.KeepAlive(memory);
    }

    /// <summary>The first float of a panel; the address is valid as long as this object is reachable.</summary>
    public float* Panel(int panel) => memory.Start + panel * PanelLength;

    /// <summary>From one panel to the next, in floats.</summary>
    public nint PanelLength => (nint)PanelColumns * Steps;

    /// <summary>The columns that a panel has of the matrix, 1 to 32.</summary>
    public int ColumnsOf(int panel) => Math.Min(PanelColumns, Columns - panel * PanelColumns);
}

/// <summary>
/// Writes one panel of a <see cref="PackedMatrix"/>. The padding of its last vector stays zero.
/// </summary>
static unsafe class MatrixPacking
{
    /// <summary>From rows of the panel's columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rows(float* source, nint stride, int steps, int columns, float* panel)
    {
        if (columns > Simd.Floats)
        {
            for (int k = 0; k < steps; k++, source += stride, panel += 2 * Simd.Floats)
            {
                Vector512.Load(source).StoreAligned(panel);
                Vector512<float> upper = Simd.LoadPart(source + Simd.Floats, columns - Simd.Floats);
                upper.StoreAligned(panel + Simd.Floats);
            }
        }
        else
        {
            for (int k = 0; k < steps; k++, source += stride, panel += Simd.Floats)
                Simd.LoadPart(source, columns).StoreAligned(panel);
        }
    }

    /// <summary>From rows that are the panel's columns, in blocks of four by four.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Columns(float* source, nint stride, int steps, int columns, float* panel)
    {
        nint width = columns > Simd.Floats ? 2 * Simd.Floats : Simd.Floats;
        int column = 0;
        for (; column + 4 <= columns; column += 4, source += 4 * stride, panel += 4)
        {
            float* target = panel;
            int k = 0;
            for (; k + 4 <= steps; k += 4, target += 4 * width)
                Transpose(source + k, stride, target, width);
            for (; k < steps; k++, target += width)
            {
                for (int i = 0; i < 4; i++)
                    target[i] = source[i * stride + k];
            }
        }
        for (; column < columns; column++, source += stride, panel++)
        {
            for (int k = 0; k < steps; k++)
                panel[k * width] = source[k];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Transpose(float* source, nint stride, float* target, nint width)
    {
        Vector128<float> a = Vector128.Load(source), b = Vector128.Load(source + stride);
        Vector128<float> c = Vector128.Load(source + 2 * stride), d = Vector128.Load(source + 3 * stride);
        Vector128<float> abLower = ZipLower(a, b), abUpper = ZipUpper(a, b);
        Vector128<float> cdLower = ZipLower(c, d), cdUpper = ZipUpper(c, d);
        PairLower(abLower, cdLower).Store(target);
        PairUpper(abLower, cdLower).Store(target + width);
        PairLower(abUpper, cdUpper).Store(target + 2 * width);
        PairUpper(abUpper, cdUpper).Store(target + 3 * width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector128<float> ZipLower(Vector128<float> x, Vector128<float> y) =>
        Sse.IsSupported ? Sse.UnpackLow(x, y)
        : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipLow(x, y)
        : Vector128.Create(x[0], y[0], x[1], y[1]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector128<float> ZipUpper(Vector128<float> x, Vector128<float> y) =>
        Sse.IsSupported ? Sse.UnpackHigh(x, y)
        : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipHigh(x, y)
        : Vector128.Create(x[2], y[2], x[3], y[3]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector128<float> PairLower(Vector128<float> x, Vector128<float> y) =>
        Sse.IsSupported ? Sse.MoveLowToHigh(x, y) : Vector128.Create(x.GetLower(), y.GetLower());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector128<float> PairUpper(Vector128<float> x, Vector128<float> y) =>
        Sse.IsSupported ? Sse.MoveHighToLow(y, x) : Vector128.Create(x.GetUpper(), y.GetUpper());
}
