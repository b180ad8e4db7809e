using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// <see cref="AddLayer"/> on the threads of a session. The gradient of each input is that of the output: the first that
/// is wanted takes its buffer, the others are copies.
/// </summary>
sealed unsafe class AddStage(NetworkNode node, ImmutableArray<RowBuffer> inputs)
    : Stage(node, inputs, new RowBuffer(inputs[0].Width))
{
    public override RowBuffer MakeInputGradient(int input) =>
        InputGradients.Contains(OutputGradient) ? new RowBuffer(Output.Width) : OutputGradient!;

    public override IEnumerable<Pass> Forward() => [Pass.OnRows(Add)];

    public override IEnumerable<Pass> Backward() => [Pass.OnRows(Copy)];

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Add(RowBlock block)
    {
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* x = Input.Row(row), y = Output.Row(row);
            for (int other = 1; other < Inputs.Length; other++, x = y)
            {
                float* more = Inputs[other].Row(row);
                for (int i = 0; i < Output.Columns; i += Vectors.Floats)
                    (Vector512.Load(x + i) + Vector512.Load(more + i)).Store(y + i);
            }
        }
    }

    void Copy(RowBlock block)
    {
        foreach (RowBuffer? gradient in InputGradients)
        {
            if (gradient is not null && gradient != OutputGradient)
                OutputGradient!.CopyTo(gradient, block);
        }
    }
}

/// <summary><see cref="ConcatLayer"/> on the threads of a session.</summary>
sealed unsafe class ConcatStage(NetworkNode node, ImmutableArray<RowBuffer> inputs)
    : Stage(node, inputs, new RowBuffer(node.Output.Size))
{
    public override RowBuffer MakeInputGradient(int input) => new(Inputs[input].Width);

    public override IEnumerable<Pass> Forward() => [Pass.OnRows(Join)];

    public override IEnumerable<Pass> Backward() => [Pass.OnRows(Split)];

    void Join(RowBlock block)
    {
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* y = Output.Row(row);
            foreach (RowBuffer input in Inputs)
            {
                new ReadOnlySpan<float>(input.Row(row), input.Width).CopyTo(new Span<float>(y, input.Width));
                y += input.Width;
            }
        }
    }

    void Split(RowBlock block)
    {
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* dy = OutputGradient!.Row(row);
            for (int i = 0; i < Inputs.Length; i++)
            {
                int width = Inputs[i].Width;
                if (InputGradients[i] is { } gradient)
                    new ReadOnlySpan<float>(dy, width).CopyTo(new Span<float>(gradient.Row(row), width));
                dy += width;
            }
        }
    }
}
