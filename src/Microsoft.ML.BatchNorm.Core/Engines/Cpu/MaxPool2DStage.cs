using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>A <see cref="Pool2DLayer"/> of maxima: the first of a window's greatest values gets its gradient.</summary>
sealed unsafe class MaxPool2DStage : Stage
{
    readonly Step step;
    readonly ImageWindows windows;

    /// <summary>Where each maximum was in its channel.</summary>
    AlignedMemory<int> indices = new(0);

    public MaxPool2DStage(NetworkNode node, Pool2DLayer layer, RowBuffer input, Step step)
        : base(node, input, new RowBuffer(node.Output.Size))
    {
        this.step = step;
        windows = new ImageWindows(node.Input, layer.Window);
        step.Work.Reserve((long)windows.PaddedChannel + windows.Slack);
    }

    public override RowBuffer MakeInputGradient() => new(Node.Input.Size);

    public override void Grow(int rows)
    {
        base.Grow(rows);
        if (indices.Length < (long)rows * Output.Width)
            indices = new AlignedMemory<int>((long)rows * Output.Width);
    }

    public override IEnumerable<Pass> Forward() => [Pass.OnRows(Pool)];

    public override IEnumerable<Pass> Backward() => InputGradient is null ? [] : [Pass.OnRows(GoBack)];

    void Pool(RowBlock block)
    {
        using WorkMemory.Lease work = step.Work.Take();
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            for (int channel = 0; channel < windows.Channels; channel++)
            {
                windows.Pad(Input.Row(row) + (nint)channel * windows.Channel, 1, work.Start, float.NegativeInfinity);
                PoolKernels.Max(
                    windows, work.Start, Output.Row(row) + (nint)channel * windows.Places, IndicesOf(row, channel));
            }
        }
    }

    void GoBack(RowBlock block)
    {
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* dx = InputGradient!.Row(row), dy = OutputGradient!.Row(row);
            new Span<float>(dx, InputGradient.Width).Clear();
            for (int channel = 0; channel < windows.Channels; channel++, dx += windows.Channel, dy += windows.Places)
            {
                int* at = IndicesOf(row, channel);
                for (int place = 0; place < windows.Places; place++)
                    dx[at[place]] += dy[place];
            }
        }
    }

    int* IndicesOf(int row, int channel) =>
        indices.Start + (nint)row * Output.Width + (nint)channel * windows.Places;
}
