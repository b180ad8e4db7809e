using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary><see cref="ActivationLayer"/> on the threads of a session.</summary>
sealed unsafe class ActivationStage<TFunction>(NetworkNode node, RowBuffer input, TFunction function)
    : Stage(node, input, new RowBuffer(input.Width))
    where TFunction : struct, IActivationFunction
{
    public override IEnumerable<Pass> Forward() => [Pass.OnRows(Apply)];

    public override IEnumerable<Pass> Backward() => [Pass.OnRows(GoBack)];

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Apply(RowBlock block)
    {
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* x = Input.Row(row), y = Output.Row(row);
            for (int i = 0; i < Input.Columns; i += Vectors.Floats)
                function.Forward(Vector512.Load(x + i)).Store(y + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void GoBack(RowBlock block)
    {
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* x = Input.Row(row), y = Output.Row(row), dy = OutputGradient!.Row(row);
            for (int i = 0; i < Input.Columns; i += Vectors.Floats)
                function.Backward(Vector512.Load(x + i), Vector512.Load(y + i), Vector512.Load(dy + i)).Store(dy + i);
        }
    }
}
