using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// <see cref="Conv2DLayer"/> on the threads of a session: the kernel times the matrix of what its window shows
/// (<see cref="WindowColumns"/>), some places at a time. A window of one element that moves by one shows the image
/// itself.
/// </summary>
sealed unsafe partial class Conv2DStage : Stage
{
    /// <summary>The places of a product: the columns that its kernel takes at once.</summary>
    const int PanelPlaces = PackedMatrix.PanelColumns;

    readonly Step step;
    readonly ImageWindows windows;
    readonly int filters, places, seen;
    readonly bool isPointwise;
    readonly KernelParameter kernel;
    readonly Parameter? bias;

    public Conv2DStage(NetworkNode node, Conv2DLayer layer, RowBuffer input, Step step)
        : base(node, input, new RowBuffer(node.Output.Size))
    {
        this.step = step;
        windows = new ImageWindows(node.Input, layer.Window);
        (filters, places, seen) = (layer.Filters, windows.Places, windows.Seen);
        isPointwise = layer.Window == new Window2D(1, 1, 0);
        kernel = new KernelParameter(node, Tensor("kernel")!, seen, filters);
        bias = Tensor("bias") is { } spec ? new Parameter(node, spec) : null;
        Parameters = bias is null ? [kernel] : [kernel, bias];
        partials = new AlignedMemory<float>(layer.Trainable ? (long)Parts * kernel.Room : 0);
        partialBiases = new AlignedMemory<double>(layer.Trainable ? (long)Parts * filters : 0);
        step.Work.Reserve(PaddedRoom + ColumnsRoom + GradientRoom);
    }

    public override IReadOnlyList<Parameter> Parameters { get; }

    int PaddedRoom => isPointwise
        ? 0
        : Vectors.RoundUp(checked(windows.Channels * windows.PaddedChannel + windows.Slack));

    int ColumnsRoom => WindowColumns.Room(seen, Math.Min(places, WindowColumns.MaxPlaces));

    int GradientRoom => checked(Vectors.RoundUp(filters) * WindowColumns.MaxPlaces);

    public override RowBuffer MakeInputGradient() => new(Node.Input.Size);

    public override IEnumerable<Pass> Forward() => [Pass.OnRows(isPointwise ? ConvolvePoints : Convolve)];

    void Convolve(RowBlock block)
    {
        using WorkMemory.Lease work = step.Work.Take();
        float* padded = work.Start, columns = padded + PaddedRoom;
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* y = Output.Row(row);
            BeginWithBias(y);
            windows.Pad(Input.Row(row), windows.Channels, padded, 0);
            for (int first = 0; first < places; first += PanelPlaces)
            {
                int count = Math.Min(PanelPlaces, places - first);
                WindowColumns.Gather(windows, padded, first, count, columns);
                Multiply(MatrixPanels.OfPacked(columns, seen, count), y + first);
            }
        }
    }

    void ConvolvePoints(RowBlock block)
    {
        using WorkMemory.Lease work = step.Work.Take();
        int whole = places / Vectors.Floats * Vectors.Floats, rest = places - whole;
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* x = Input.Row(row), y = Output.Row(row);
            BeginWithBias(y);
            if (whole > 0)
                Multiply(MatrixPanels.OfRows(x, places, seen, whole), y);
            if (rest == 0)
                continue;
            MatrixPacking.Rows(x + whole, places, seen, rest, work.Start);
            Multiply(MatrixPanels.OfPacked(work.Start, seen, rest), y + whole);
        }
    }

    void BeginWithBias(float* y)
    {
        for (int filter = 0; filter < filters && bias is not null; filter++)
            new Span<float>(y + (nint)filter * places, places).Fill(bias.Value[filter]);
    }

    /// <summary>The kernel times the matrix of some places, to the same places of the output.</summary>
    void Multiply(in MatrixPanels columns, float* y)
    {
        for (int panel = 0; panel < kernel.Panels; panel++)
        {
            MatrixProduct.MultiplyTransposed(
                kernel.Value + kernel.Start(panel), kernel.WidthOf(panel), kernel.UnitsOf(panel), columns,
                y + (nint)panel * PackedMatrix.PanelColumns * places, places, accumulate: bias is not null);
        }
    }
}
