namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// The right factor of a product, <c>[k × n]</c>, as panels of 32 columns: a <see cref="PackedMatrix"/>, or a plain
/// matrix where it lies.
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

    /// <summary>Whether a last panel of one vector has its rows one behind the other, as a packed matrix has.</summary>
    public bool IsPacked => lastWidth == PackedMatrix.Lanes;

    /// <summary>
    /// A matrix as it is: no packing, and as fast where every row is read for many rows of the left factor.
    /// </summary>
    /// <param name="b">The matrix, <c>[k × n]</c>.</param>
    /// <param name="stride">From one of its rows to the next, at least n.</param>
    /// <param name="steps">k.</param>
    /// <param name="columns">n, a multiple of 16.</param>
    /// <exception cref="ArgumentException">n is not a multiple of 16.</exception>
    public static MatrixPanels OfRows(float* b, nint stride, int steps, int columns)
    {
        if (columns % PackedMatrix.Lanes != 0)
            throw new ArgumentException($"{columns} columns are no multiple of {PackedMatrix.Lanes}.", nameof(columns));
        return new(b, PackedMatrix.PanelColumns, stride, stride, steps, columns, owner: null);
    }

    /// <summary>A matrix in memory of the caller's that is laid out as a <see cref="PackedMatrix"/>'s.</summary>
    /// <param name="packed">The first panel, at a multiple of 64.</param>
    /// <param name="steps">k.</param>
    /// <param name="columns">n.</param>
    public static MatrixPanels OfPacked(float* packed, int steps, int columns) => new(
        packed, (nint)PackedMatrix.PanelColumns * steps, PackedMatrix.PanelColumns, PackedMatrix.Lanes, steps, columns,
        owner: null);

    public static implicit operator MatrixPanels(PackedMatrix matrix) => new(
        matrix.Panel(0), matrix.PanelLength, PackedMatrix.PanelColumns, PackedMatrix.Lanes, matrix.Steps,
        matrix.Columns, matrix);

    /// <summary>The first row at a column that is a multiple of 16.</summary>
    public float* At(int column) =>
        start + column / PackedMatrix.PanelColumns * Distance + column % PackedMatrix.PanelColumns;

    /// <summary>From one row to the next in a column's panel.</summary>
    public nint WidthAt(int column) =>
        Columns - column + column % PackedMatrix.PanelColumns > PackedMatrix.Lanes ? width : lastWidth;
}
