namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A convolution of one image, as a product: the kernel times the matrix of what its window shows
/// (<see cref="WindowColumns"/>), some places at a time. A window of one element that moves by one shows the image
/// itself.
/// </summary>
sealed unsafe class ImageConvolution(TensorShape image, Window2D window, int filters)
{
    /// <summary>The places of a product: the columns that the matrix kernel takes at once.</summary>
    const int PanelPlaces = PackedMatrix.PanelColumns;

    readonly int seen = image[0] * window.Size.Height * window.Size.Width;

    public ImageWindows Windows { get; } = new(image, window);

    public bool IsPointwise { get; } = window == new Window2D(1, 1, 0);

    /// <summary>The floats of the padded image, which the window moves over; 0 if it is pointwise.</summary>
    public int PaddedRoom => IsPointwise
        ? 0
        : Simd.RoundUp(checked(Windows.Channels * Windows.PaddedChannel + ImageWindows.Slack));

    /// <summary>The floats that <see cref="Run"/> works with.</summary>
    public int Work => checked(PaddedRoom + WindowColumns.Room(seen, Math.Min(Windows.Places, PanelPlaces)));

    /// <summary>Computes <c>[filters, places]</c> from <c>[channels, height, width]</c>.</summary>
    /// <param name="x">The image.</param>
    /// <param name="kernel">The kernel's transpose: a row per element of the window, a column per filter.</param>
    /// <param name="bias">A value per filter, or null.</param>
    /// <param name="y">The output.</param>
    /// <param name="work">As many floats as <see cref="Work"/> says, at an aligned address.</param>
    public void Run(float* x, in MatrixPanels kernel, float* bias, float* y, float* work)
    {
        int places = Windows.Places;
        for (int filter = 0; filter < filters && bias != null; filter++)
            new Span<float>(y + (nint)filter * places, places).Fill(bias[filter]);
        if (IsPointwise)
        {
            RunOnPoints(x, kernel, bias != null, y, work);
            return;
        }
        float* padded = work, columns = work + PaddedRoom;
        Windows.Pad(x, Windows.Channels, padded, 0);
        for (int first = 0; first < places; first += PanelPlaces)
        {
            int count = Math.Min(PanelPlaces, places - first);
            WindowColumns.Gather(Windows, padded, first, count, columns);
            Multiply(kernel, MatrixPanels.OfPacked(columns, seen, count), y + first, bias != null);
        }
    }

    void RunOnPoints(float* x, in MatrixPanels kernel, bool hasBias, float* y, float* work)
    {
        int places = Windows.Places, whole = places / Simd.Floats * Simd.Floats, rest = places - whole;
        if (whole > 0)
            Multiply(kernel, MatrixPanels.OfRows(x, places, seen, whole), y, hasBias);
        if (rest == 0)
            return;
        MatrixPacking.Rows(x + whole, places, seen, rest, work);
        Multiply(kernel, MatrixPanels.OfPacked(work, seen, rest), y + whole, hasBias);
    }

    /// <summary>The kernel times the matrix of some places, to the same places of the output.</summary>
    void Multiply(in MatrixPanels kernel, in MatrixPanels columns, float* y, bool accumulate)
    {
        int places = Windows.Places;
        for (int filter = 0; filter < filters; filter += PackedMatrix.PanelColumns)
        {
            MatrixProduct.MultiplyTransposed(
                kernel.At(filter), kernel.WidthAt(filter), Math.Min(PackedMatrix.PanelColumns, filters - filter),
                columns, y + (nint)filter * places, places, accumulate);
        }
    }
}
