using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Inference;

/// <summary>A step of several inputs.</summary>
abstract unsafe class MergeStep(int outputs) : ServingStep(outputs, outputs)
{
    public override void Run(float* x, float* y, int rows, float* work) => Run(&x, y, rows, work);

    public abstract override void Run(float** x, float* y, int rows, float* work);
}

/// <summary>The sum of some inputs, in their order.</summary>
sealed unsafe class AddStep(int count, int size) : MergeStep(size)
{
    public override bool IsElementwise => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Run(float** x, float* y, int rows, float* work)
    {
        nint length = (nint)rows * Outputs, i = 0;
        for (; i <= length - Vector512<float>.Count; i += Vector512<float>.Count)
        {
            Vector512<float> sum = Vector512.Load(x[0] + i);
            for (int input = 1; input < count; input++)
                sum += Vector512.Load(x[input] + i);
            sum.Store(y + i);
        }
        for (; i < length; i++)
        {
            float sum = x[0][i];
            for (int input = 1; input < count; input++)
                sum += x[input][i];
            y[i] = sum;
        }
    }
}

/// <summary>Puts runs of each input behind one another: its channels, at each place of a row.</summary>
/// <param name="widths">The values of each input's run.</param>
/// <param name="places">The runs of a row.</param>
sealed unsafe class ConcatStep(int[] widths, int places) : MergeStep(widths.Sum() * places)
{
    public override void Run(float** x, float* y, int rows, float* work)
    {
        for (int place = 0; place < rows * places; place++)
        {
            for (int input = 0; input < widths.Length; y += widths[input++])
            {
                var run = new ReadOnlySpan<float>(x[input] + (nint)place * widths[input], widths[input]);
                run.CopyTo(new Span<float>(y, widths[input]));
            }
        }
    }
}
