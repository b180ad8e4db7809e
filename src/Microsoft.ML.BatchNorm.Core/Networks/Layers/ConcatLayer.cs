using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Concatenates two or more inputs along their first dimension, the channels: <c>[2, 8, 8]</c> and <c>[3, 8, 8]</c>
/// become <c>[5, 8, 8]</c>.
/// </summary>
/// <remarks><see cref="Network.Concat(Network[])"/> adds it to a network.</remarks>
public sealed record ConcatLayer : Layer
{
    /// <inheritdoc/>
    public override string Kind => "Concat";

    internal override string DefaultName => "concat";

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input) => OutputShape([Check.NotNull(input)]);

    /// <inheritdoc/>
    public override TensorShape OutputShape(ImmutableArray<TensorShape> inputs)
    {
        if (inputs.Length < 2
            || !inputs.All(input => input.Dimensions[1..].SequenceEqual(inputs[0].Dimensions[1..])))
            throw Misfit(inputs, "two or more that differ in the first dimension alone");
        long channels = inputs.Sum(input => (long)input[0]);
        CheckRow(inputs, "output", [channels, .. inputs[0].Dimensions[1..].ToArray().Select(size => (long)size)]);
        return new TensorShape([(int)channels, .. inputs[0].Dimensions[1..]]);
    }

    internal override Stage CreateStage(StageContext context) => new ConcatStage(context);

    internal override ServingValue CreateServing(ServingContext context) => context.Operations.Add(
        new ConcatOperation([.. context.Node.InputShapes.Select(shape => shape.Size)]), context.Inputs);
}

/// <summary>A <see cref="ConcatLayer"/> in a training session.</summary>
sealed unsafe class ConcatStage(StageContext context)
    : Stage(context, new RowBuffer(context.Node.Output.Size))
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

/// <summary>A <see cref="ConcatLayer"/> in a model.</summary>
/// <param name="widths">The number of values in a row of each input.</param>
sealed unsafe class ConcatOperation(int[] widths) : MergeOperation(widths.Sum())
{
    public override void Run(float** x, float* y, int rows, float* work)
    {
        for (int row = 0; row < rows; row++)
        {
            for (int input = 0; input < widths.Length; y += widths[input++])
            {
                var run = new ReadOnlySpan<float>(x[input] + (nint)row * widths[input], widths[input]);
                run.CopyTo(new Span<float>(y, widths[input]));
            }
        }
    }
}
