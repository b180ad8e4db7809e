namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A convolution of one image at a time: forward, back to its input, and to its kernel. The kernel is given as the
/// panels of its transpose: a row per element of the window, a column per filter. Nothing is allocated.
/// </summary>
abstract unsafe class ImageConvolution
{
    private protected ImageConvolution(TensorShape image, Window2D window, int filters, int groups)
    {
        (Filters, Groups) = (filters, groups);
        Windows = new ImageWindows(new TensorShape(image[0] / groups, image[1], image[2]), window);
    }

    /// <summary>The convolution by matrices, or for groups of one channel the one by planes.</summary>
    public static ImageConvolution Of(TensorShape image, Window2D window, int filters, int groups) =>
        groups > 1 && groups == image[0]
            ? new DepthwiseConvolution(image, window, filters)
            : new MatrixConvolution(image, window, filters, groups);

    /// <summary>The places of the window over the channels of one group.</summary>
    public ImageWindows Windows { get; }

    public int Filters { get; }

    public int Groups { get; }

    /// <summary>The elements that a filter sees.</summary>
    public int Seen => Windows.Seen;

    /// <summary>The floats that <see cref="Run"/> works with.</summary>
    public abstract int Work { get; }

    /// <summary>The floats that any of the methods works with.</summary>
    public abstract int TrainingWork { get; }

    protected int GroupFilters => Filters / Groups;

    /// <summary>The values of a group's channels.</summary>
    protected nint GroupImage => (nint)Windows.Channels * Windows.Channel;

    /// <summary>Computes <c>[filters, places]</c> from <c>[channels, height, width]</c>.</summary>
    /// <param name="x">The image.</param>
    /// <param name="kernel">The kernel.</param>
    /// <param name="bias">A value per filter, or null.</param>
    /// <param name="y">The output.</param>
    /// <param name="work">As many floats as <see cref="Work"/> says, at an aligned address.</param>
    public void Run(float* x, in MatrixPanels kernel, float* bias, float* y, float* work)
    {
        int places = Windows.Places;
        for (int filter = 0; filter < Filters && bias != null; filter++)
            new Span<float>(y + (nint)filter * places, places).Fill(bias[filter]);
        for (int group = 0; group < Groups; group++)
            RunGroup(group, x + group * GroupImage, kernel, y, bias != null, work);
    }

    /// <summary>The gradient of the image from that of the output.</summary>
    /// <param name="dy">The gradient of the output.</param>
    /// <param name="kernel">The kernel.</param>
    /// <param name="dx">Receives the gradient.</param>
    /// <param name="work">As many floats as <see cref="TrainingWork"/> says, at an aligned address.</param>
    public void RunBack(float* dy, in MatrixPanels kernel, float* dx, float* work)
    {
        for (int group = 0; group < Groups; group++)
            RunGroupBack(group, dy, kernel, dx + group * GroupImage, work);
    }

    /// <summary>Adds the kernel's gradient by one image.</summary>
    /// <param name="x">The image.</param>
    /// <param name="dy">The gradient of the output.</param>
    /// <param name="gradient">The sum so far, in the kernel's panels.</param>
    /// <param name="work">As many floats as <see cref="TrainingWork"/> says, at an aligned address.</param>
    public void AddKernelGradient(float* x, float* dy, in MatrixPanels gradient, float* work)
    {
        for (int group = 0; group < Groups; group++)
            AddGroupGradient(group, x + group * GroupImage, dy, gradient, work);
    }

    /// <param name="group">The group.</param>
    /// <param name="x">Its channels.</param>
    /// <param name="kernel">The whole kernel.</param>
    /// <param name="y">The whole output.</param>
    /// <param name="accumulate">Whether to add to the output.</param>
    /// <param name="work">Memory.</param>
    private protected abstract void RunGroup(
        int group, float* x, in MatrixPanels kernel, float* y, bool accumulate, float* work);

    private protected abstract void RunGroupBack(int group, float* dy, in MatrixPanels kernel, float* dx, float* work);

    private protected abstract void AddGroupGradient(
        int group, float* x, float* dy, in MatrixPanels gradient, float* work);
}

/// <summary>
/// A convolution as a product: the kernel times the matrix of what its window shows (<see cref="WindowColumns"/>), some
/// places at a time. A window of one element that moves by one shows the image itself.
/// </summary>
sealed unsafe class MatrixConvolution(TensorShape image, Window2D window, int filters, int groups)
    : ImageConvolution(image, window, filters, groups)
{
    /// <summary>The places of a product: the columns that the matrix kernel takes at once.</summary>
    const int PanelPlaces = PackedMatrix.PanelColumns;

    bool IsPointwise => Windows.Size == 1 && Windows.Stride == 1 && Windows.Padding.IsZero;

    public override int Work => checked(PaddedRoom + WindowColumns.Room(Seen, Math.Min(Windows.Places, PanelPlaces)));

    public override int TrainingWork => checked(PaddedRoom + ColumnsRoom + GradientRoom);

    int PaddedRoom => IsPointwise
        ? 0
        : Windows.Room(Windows.Channels);

    int ColumnsRoom => WindowColumns.Room(Seen, Math.Min(Windows.Places, WindowColumns.MaxPlaces));

    int GradientRoom => checked(Simd.RoundUp(GroupFilters) * WindowColumns.MaxPlaces);

    private protected override void RunGroup(
        int group, float* x, in MatrixPanels kernel, float* y, bool accumulate, float* work)
    {
        int places = Windows.Places;
        if (IsPointwise)
        {
            int whole = places / Simd.Floats * Simd.Floats, rest = places - whole;
            if (whole > 0)
                Multiply(group, kernel, MatrixPanels.OfRows(x, places, Seen, whole), y, accumulate);
            if (rest == 0)
                return;
            MatrixPacking.Rows(x + whole, places, Seen, rest, work);
            Multiply(group, kernel, MatrixPanels.OfPacked(work, Seen, rest), y + whole, accumulate);
            return;
        }
        float* padded = work, columns = work + PaddedRoom;
        Windows.Pad(x, Windows.Channels, padded, 0);
        for (int first = 0; first < places; first += PanelPlaces)
        {
            int count = Math.Min(PanelPlaces, places - first);
            WindowColumns.Gather(Windows, padded, first, count, columns);
            Multiply(group, kernel, MatrixPanels.OfPacked(columns, Seen, count), y + first, accumulate);
        }
    }

    /// <summary>The kernel times the matrix of some places, to the same places of the output.</summary>
    void Multiply(int group, in MatrixPanels kernel, in MatrixPanels columns, float* y, bool accumulate)
    {
        foreach ((int filter, int count) in PiecesOf(group))
        {
            MatrixProduct.MultiplyTransposed(
                kernel.At(filter), kernel.WidthAt(filter), count, columns, y + (nint)filter * Windows.Places,
                Windows.Places, accumulate);
        }
    }

    /// <summary>The kernel's transpose times the output's gradient, added to where the window saw it.</summary>
    private protected override void RunGroupBack(
        int group, float* dy, in MatrixPanels kernel, float* dx, float* work)
    {
        int places = Windows.Places;
        float* padded = work, columns = padded + PaddedRoom, packed = columns + ColumnsRoom;
        if (!IsPointwise)
            new Span<float>(padded, PaddedRoom).Clear();
        for (int first = 0; first < places; first += PanelPlaces)
        {
            int count = Math.Min(PanelPlaces, places - first);
            if (IsPointwise)
            {
                MultiplyBack(group, dy + first, kernel, count, packed, dx + first, places);
                continue;
            }
            MultiplyBack(group, dy + first, kernel, count, packed, columns, WindowColumns.Stride(count));
            WindowColumns.Scatter(Windows, columns, first, count, padded);
        }
        if (!IsPointwise)
            Windows.Unpad(padded, Windows.Channels, dx);
    }

    void MultiplyBack(
        int group, float* dy, in MatrixPanels kernel, int count, float* packed, float* target, nint stride)
    {
        bool accumulate = false;
        foreach ((int filter, int filters) in PiecesOf(group))
        {
            MatrixPacking.Rows(dy + (nint)filter * Windows.Places, Windows.Places, filters, count, packed);
            MatrixProduct.Multiply(
                kernel.At(filter), kernel.WidthAt(filter), Seen, MatrixPanels.OfPacked(packed, filters, count), target,
                stride, accumulate);
            accumulate = true;
        }
    }

    private protected override void AddGroupGradient(
        int group, float* x, float* dy, in MatrixPanels gradient, float* work)
    {
        int places = Windows.Places;
        float* padded = work, columns = padded + PaddedRoom, packed = columns + ColumnsRoom;
        if (!IsPointwise)
            Windows.Pad(x, Windows.Channels, padded, 0);
        for (int first = 0; first < places; first += WindowColumns.MaxPlaces)
        {
            int count = Math.Min(WindowColumns.MaxPlaces, places - first);
            float* seen = IsPointwise ? x + first : columns;
            nint stride = IsPointwise ? places : WindowColumns.Stride(count);
            if (!IsPointwise)
                WindowColumns.Gather(Windows, padded, first, count, columns);
            foreach ((int filter, int filters) in PiecesOf(group))
            {
                MatrixPacking.Columns(dy + (nint)filter * places + first, places, count, filters, packed);
                MatrixProduct.Multiply(
                    seen, stride, Seen, MatrixPanels.OfPacked(packed, count, filters), gradient.At(filter),
                    gradient.WidthAt(filter), accumulate: true);
            }
        }
    }

    /// <summary>The filters of a group, cut where a panel of the kernel ends.</summary>
    Pieces PiecesOf(int group) => new(group * GroupFilters, (group + 1) * GroupFilters);

    ref struct Pieces(int first, int end)
    {
        int next = first;

        public (int Filter, int Count) Current { get; private set; }

        public readonly Pieces GetEnumerator() => this;

        public bool MoveNext()
        {
            if (next >= end)
                return false;
            int panel = next / PackedMatrix.PanelColumns;
            int count = Math.Min(end, (panel + 1) * PackedMatrix.PanelColumns) - next;
            Current = (next, count);
            next += count;
            return true;
        }
    }
}

/// <summary>
/// A depthwise convolution, in which each filter sees one channel: a weighted sum of shifted planes, without a matrix.
/// </summary>
sealed unsafe class DepthwiseConvolution(TensorShape image, Window2D window, int filters)
    : ImageConvolution(image, window, filters, image[0])
{
    public override int Work => checked(PaddedRoom + WeightsRoom);

    public override int TrainingWork => Work;

    int PaddedRoom => Windows.Room(1);

    int WeightsRoom => Simd.RoundUp(Seen);

    private protected override void RunGroup(
        int group, float* x, in MatrixPanels kernel, float* y, bool accumulate, float* work)
    {
        float* padded = work, weights = work + PaddedRoom;
        Windows.Pad(x, 1, padded, 0);
        for (int filter = group * GroupFilters; filter < (group + 1) * GroupFilters; filter++)
        {
            CopyWeights(kernel, filter, weights);
            float* plane = y + (nint)filter * Windows.Places;
            DepthwiseKernels.Sum(Windows, padded, weights, plane, accumulate);
        }
    }

    private protected override void RunGroupBack(
        int group, float* dy, in MatrixPanels kernel, float* dx, float* work)
    {
        float* padded = work, weights = work + PaddedRoom;
        new Span<float>(padded, PaddedRoom).Clear();
        for (int filter = group * GroupFilters; filter < (group + 1) * GroupFilters; filter++)
        {
            CopyWeights(kernel, filter, weights);
            DepthwiseKernels.Spread(Windows, dy + (nint)filter * Windows.Places, weights, padded);
        }
        Windows.Unpad(padded, 1, dx);
    }

    private protected override void AddGroupGradient(
        int group, float* x, float* dy, in MatrixPanels gradient, float* work)
    {
        float* padded = work;
        Windows.Pad(x, 1, padded, 0);
        for (int filter = group * GroupFilters; filter < (group + 1) * GroupFilters; filter++)
        {
            DepthwiseKernels.AddProducts(
                Windows, padded, dy + (nint)filter * Windows.Places, gradient.At(filter), gradient.WidthAt(filter));
        }
    }

    void CopyWeights(in MatrixPanels kernel, int filter, float* weights)
    {
        float* column = kernel.At(filter);
        nint width = kernel.WidthAt(filter);
        for (int i = 0; i < Seen; i++)
            weights[i] = column[i * width];
    }
}
