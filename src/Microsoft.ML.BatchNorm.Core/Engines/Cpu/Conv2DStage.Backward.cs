using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

sealed unsafe partial class Conv2DStage
{
    /// <summary>The most ranges of rows whose gradients of the kernel are summed apart, for as many threads.</summary>
    const int MaxParts = 32;

    /// <summary>The most floats for them, beyond which there are fewer parts.</summary>
    const int PartialRoom = 1 << 24;

    /// <summary>Floats that one item merges.</summary>
    const int MergeLength = 1 << 13;

    /// <summary>The gradients of each part, of the kernel and of the bias.</summary>
    readonly AlignedMemory<float> partials;
    readonly AlignedMemory<double> partialBiases;

    int Parts => Math.Clamp(PartialRoom / kernel.Room, 1, MaxParts);

    /// <summary>The parts that have rows of the batch at hand.</summary>
    int UsedParts => Math.Min(Parts, step.Rows);

    public override IEnumerable<Pass> Backward()
    {
        if (InputGradient is not null)
            yield return Pass.OnRows(isPointwise ? PointsBack : ConvolveBack);
        if (kernel.IsTrained)
            yield return Pass.OnItems(Parts, SumPart);
    }

    public override IEnumerable<Pass> Complete() =>
        kernel.IsTrained ? [Pass.OnItems((kernel.Room + MergeLength - 1) / MergeLength, Merge)] : [];

    /// <summary>The kernel's transpose times the output's gradient, added to where the window saw it.</summary>
    void ConvolveBack(RowBlock block)
    {
        using WorkMemory.Lease work = step.Work.Take();
        float* padded = work.Start, columns = padded + PaddedRoom, packed = columns + ColumnsRoom;
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* dy = OutputGradient!.Row(row);
            new Span<float>(padded, PaddedRoom).Clear();
            for (int first = 0; first < places; first += PanelPlaces)
            {
                int count = Math.Min(PanelPlaces, places - first);
                MatrixPacking.Rows(dy + first, places, filters, count, packed);
                MultiplyBack(packed, count, columns, WindowColumns.Stride(count));
                WindowColumns.Scatter(windows, columns, first, count, padded);
            }
            windows.Unpad(padded, windows.Channels, InputGradient!.Row(row));
        }
    }

    void PointsBack(RowBlock block)
    {
        using WorkMemory.Lease work = step.Work.Take();
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            for (int first = 0; first < places; first += PanelPlaces)
            {
                int count = Math.Min(PanelPlaces, places - first);
                MatrixPacking.Rows(OutputGradient!.Row(row) + first, places, filters, count, work.Start);
                MultiplyBack(work.Start, count, InputGradient!.Row(row) + first, places);
            }
        }
    }

    void MultiplyBack(float* packed, int count, float* target, nint stride)
    {
        int width = WindowColumns.Stride(count);
        for (int panel = 0; panel < kernel.Panels; panel++)
        {
            MatrixPanels gradients = MatrixPanels.OfPacked(
                packed + (nint)panel * PackedMatrix.PanelColumns * width, kernel.UnitsOf(panel), count);
            MatrixProduct.Multiply(
                kernel.Value + kernel.Start(panel), kernel.WidthOf(panel), seen, gradients, target, stride,
                accumulate: panel > 0);
        }
    }

    /// <summary>The gradients of kernel and bias by a part of the rows.</summary>
    void SumPart(int part)
    {
        if (part >= UsedParts)
            return;
        int first = (int)((long)step.Rows * part / UsedParts), end = (int)((long)step.Rows * (part + 1) / UsedParts);
        float* target = partials.Start + (nint)part * kernel.Room;
        new Span<float>(target, kernel.Room).Clear();
        double* targetBias = partialBiases.Start + (nint)part * filters;
        new Span<double>(targetBias, filters).Clear();
        using WorkMemory.Lease work = step.Work.Take();
        float* padded = work.Start, columns = padded + PaddedRoom, packed = columns + ColumnsRoom;
        for (int row = first; row < end; row++)
        {
            float* x = Input.Row(row), dy = OutputGradient!.Row(row);
            for (int filter = 0; filter < filters && bias is not null; filter++)
                targetBias[filter] += PlaneKernels.Sum(dy + (nint)filter * places, places);
            if (!isPointwise)
                windows.Pad(x, windows.Channels, padded, 0);
            for (int place = 0; place < places; place += WindowColumns.MaxPlaces)
            {
                int count = Math.Min(WindowColumns.MaxPlaces, places - place);
                if (isPointwise)
                {
                    AddProduct(x + place, places, dy + place, count, packed, target);
                    continue;
                }
                WindowColumns.Gather(windows, padded, place, count, columns);
                AddProduct(columns, WindowColumns.Stride(count), dy + place, count, packed, target);
            }
        }
    }

    /// <summary>Adds what some places add to the kernel's gradient.</summary>
    void AddProduct(float* columns, nint stride, float* dy, int count, float* packed, float* target)
    {
        for (int panel = 0; panel < kernel.Panels; panel++)
        {
            int units = kernel.UnitsOf(panel);
            MatrixPacking.Columns(dy + (nint)panel * PackedMatrix.PanelColumns * places, places, count, units, packed);
            MatrixProduct.Multiply(
                columns, stride, seen, MatrixPanels.OfPacked(packed, count, units), target + kernel.Start(panel),
                kernel.WidthOf(panel), accumulate: true);
        }
    }

    /// <summary>Merges a range of the parts' gradients; the first also the bias's.</summary>
    void Merge(int item)
    {
        int first = item * MergeLength, length = Math.Min(MergeLength, kernel.Room - first);
        PlaneKernels.Merge(partials.Start + first, kernel.Room, UsedParts, kernel.Gradient + first, length);
        if (!Finite.All<float>(new(kernel.Gradient + first, length)))
            step.Fail();
        if (item > 0 || bias is null)
            return;
        for (int filter = 0; filter < filters; filter++)
        {
            double sum = 0;
            for (int part = 0; part < UsedParts; part++)
                sum += partialBiases.Start[(nint)part * filters + filter];
            bias.Gradient[filter] = (float)sum;
        }
        if (!Finite.All<float>(new(bias.Gradient, bias.Room)))
            step.Fail();
    }
}
