using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary><see cref="GlobalAveragePool2DLayer"/> on the threads of a session.</summary>
sealed unsafe class GlobalAveragePool2DStage(NetworkNode node, RowBuffer input)
    : Stage(node, input, new RowBuffer(node.Output.Size))
{
    readonly int channels = node.Input[0], places = node.Input[1] * node.Input[2];

    public override RowBuffer MakeInputGradient() => new(Node.Input.Size);

    public override IEnumerable<Pass> Forward() => [Pass.OnRows(Average)];

    public override IEnumerable<Pass> Backward() => InputGradient is null ? [] : [Pass.OnRows(GoBack)];

    void Average(RowBlock block)
    {
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* x = Input.Row(row), y = Output.Row(row);
            for (int channel = 0; channel < channels; channel++)
                y[channel] = (float)(PlaneKernels.Sum(x + (nint)channel * places, places) / places);
        }
    }

    void GoBack(RowBlock block)
    {
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* dx = InputGradient!.Row(row), dy = OutputGradient!.Row(row);
            for (int channel = 0; channel < channels; channel++)
                new Span<float>(dx + (nint)channel * places, places).Fill(dy[channel] / places);
        }
    }
}
