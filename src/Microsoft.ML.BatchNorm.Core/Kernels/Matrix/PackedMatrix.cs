namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// The right factor of a product, <c>[k × n]</c>, as panels of 32 columns, the last of 16 where it has no more: step
/// after step of the sum, a panel's columns lie next to each other, and zeros fill up the last vector. The memory is
/// made once; each packing writes over the one before. Distinct panels can be packed from distinct threads.
/// </summary>
sealed unsafe class PackedMatrix
{
    public const int PanelColumns = 32;

    /// <summary>The columns of a vector.</summary>
    public const int Lanes = 16;

    const int Alignment = 64;

    // On the pinned heap, so that its address stays; freed with this object.
    readonly float[] memory;
    readonly float* start;

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
        int vectors = (columns + Lanes - 1) / Lanes;
        memory = GC.AllocateArray<float>(
            checked(vectors * Lanes * steps + Alignment / sizeof(float)), pinned: true);
        fixed (float* address = memory)
            start = (float*)(((nuint)address + Alignment - 1) & ~(nuint)(Alignment - 1));
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

    /// <summary>The first float of a panel; the address holds as long as this object is reachable.</summary>
    public float* Panel(int panel) => start + panel * PanelLength;

    /// <summary>From one panel to the next, in floats.</summary>
    public nint PanelLength => (nint)PanelColumns * Steps;

    /// <summary>The columns that a panel has of the matrix, 1 to 32.</summary>
    public int ColumnsOf(int panel) => Math.Min(PanelColumns, Columns - panel * PanelColumns);
}
