using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>A <see cref="Pool2DLayer"/> of means.</summary>
sealed unsafe class AveragePool2DStage : Stage
{
    readonly Step step;
    readonly ImageWindows windows;

    public AveragePool2DStage(NetworkNode node, Pool2DLayer layer, RowBuffer input, Step step)
        : base(node, input, new RowBuffer(node.Output.Size))
    {
        this.step = step;
        windows = new ImageWindows(node.Input, layer.Window);
        step.Work.Reserve((long)PaddedRoom + windows.Places + Vectors.Floats);
    }

    int PaddedRoom => Vectors.RoundUp(checked(windows.PaddedChannel + windows.Slack));

    public override RowBuffer MakeInputGradient() => new(Node.Input.Size);

    public override IEnumerable<Pass> Forward() => [Pass.OnRows(Pool)];

    public override IEnumerable<Pass> Backward() => InputGradient is null ? [] : [Pass.OnRows(GoBack)];

    void Pool(RowBlock block)
    {
        using WorkMemory.Lease work = step.Work.Take();
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            for (int channel = 0; channel < windows.Channels; channel++)
            {
                windows.Pad(Input.Row(row) + (nint)channel * windows.Channel, 1, work.Start, 0);
                PoolKernels.Average(windows, work.Start, Output.Row(row) + (nint)channel * windows.Places);
            }
        }
    }

    void GoBack(RowBlock block)
    {
        using WorkMemory.Lease work = step.Work.Take();
        float* padded = work.Start, shares = padded + PaddedRoom;
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            for (int channel = 0; channel < windows.Channels; channel++)
            {
                float* dy = OutputGradient!.Row(row) + (nint)channel * windows.Places;
                PlaneKernels.Divide(dy, windows.Places, (float)windows.Size.Height * windows.Size.Width, shares);
                new Span<float>(padded, PaddedRoom).Clear();
                PoolKernels.AddShares(windows, shares, padded);
                windows.Unpad(padded, 1, InputGradient!.Row(row) + (nint)channel * windows.Channel);
            }
        }
    }
}
