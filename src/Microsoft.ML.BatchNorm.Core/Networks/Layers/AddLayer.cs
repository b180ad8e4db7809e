using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>Adds two or more inputs of one shape, value by value: the end of a residual block.</summary>
/// <remarks>It adds in the order of its inputs. <see cref="Network.Residual"/> adds it to a network.</remarks>
public sealed record AddLayer : Layer
{
    /// <inheritdoc/>
    public override string Kind => "Add";

    internal override string DefaultName => "add";

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input) => OutputShape([Check.NotNull(input)]);

    /// <inheritdoc/>
    public override TensorShape OutputShape(ImmutableArray<TensorShape> inputs) =>
        inputs.Length >= 2 && inputs.All(inputs[0].Equals)
            ? inputs[0]
            : throw Misfit(inputs, "two or more of one shape");

    internal override Stage CreateStage(StageContext context) => new AddStage(context);

    internal override ServingValue CreateServing(ServingContext context) => context.Operations.Add(
        new AddOperation(context.Inputs.Length, context.Node.Output.Size), context.Inputs);
}

/// <summary>
/// An <see cref="AddLayer"/> in a training session. The gradient of each input is that of the output: the first input
/// that needs one shares the output's buffer, the others get copies.
/// </summary>
sealed unsafe class AddStage(StageContext context) : Stage(context, new RowBuffer(context.Input.Width))
{
    public override RowBuffer MakeInputGradient(int input) =>
        InputGradients.Contains(OutputGradient) ? new RowBuffer(Output.Width) : OutputGradient!;

    public override IEnumerable<Pass> Forward() => [Pass.OnRows(Add)];

    public override IEnumerable<Pass> Backward() => [Pass.OnRows(Copy)];

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Add(RowBlock block)
    {
        int columns = Output.Columns;
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* x = Input.Row(row), y = Output.Row(row);
            for (int other = 1; other < Inputs.Length; other++, x = y)
            {
                float* more = Inputs[other].Row(row);
                for (int i = 0; i < columns; i += Simd.Floats)
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

/// <summary>An <see cref="AddLayer"/> in a model.</summary>
sealed unsafe class AddOperation(int count, int size) : MergeOperation(size)
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
