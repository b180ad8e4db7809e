using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The product of two inputs: value by value where they have one shape, or a value times one factor per channel, such
/// as <c>[channels, height, width]</c> times <c>[channels]</c> or <c>[channels, 1, 1]</c> in squeeze and excitation.
/// </summary>
/// <remarks><see cref="Network.Multiply"/> puts it into a network.</remarks>
public sealed record MultiplyLayer : Layer
{
    /// <inheritdoc/>
    public override string Kind => "Multiply";

    internal override string DefaultName => "multiply";

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input) => OutputShape([Check.NotNull(input)]);

    /// <inheritdoc/>
    public override TensorShape OutputShape(ImmutableArray<TensorShape> inputs) =>
        inputs.Length == 2
        && (inputs[0].Equals(inputs[1]) || inputs[1].Size == inputs[0][0] && inputs[1][0] == inputs[0][0])
            ? inputs[0]
            : throw Misfit(inputs, "a value, and one of the same shape or with one factor per channel");

    internal override Stage CreateStage(StageContext context) => new MultiplyStage(context);

    internal override ServingValue CreateServing(ServingContext context) => context.Operations.Add(
        new MultiplyOperation(context.Node.InputShapes[0].Size, context.Node.InputShapes[1].Size), context.Inputs);
}

/// <summary>A product of two values in a training session.</summary>
sealed unsafe class MultiplyStage(StageContext context) : Stage(context, new RowBuffer(context.Input.Width))
{
    readonly int factors = context.Inputs[1].Width, places = context.Input.Width / context.Inputs[1].Width;

    public override RowBuffer MakeInputGradient(int input) => new(Inputs[input].Width);

    public override IEnumerable<Pass> Forward() => [Pass.OnRows(Multiply)];

    public override IEnumerable<Pass> Backward() => [Pass.OnRows(GoBack)];

    void Multiply(RowBlock block)
    {
        for (int row = block.First; row < block.First + block.Rows; row++)
            PlaneKernels.Multiply(Input.Row(row), Inputs[1].Row(row), factors, places, Output.Row(row));
    }

    void GoBack(RowBlock block)
    {
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* dy = OutputGradient!.Row(row);
            if (InputGradients[0] is { } first)
                PlaneKernels.Multiply(dy, Inputs[1].Row(row), factors, places, first.Row(row));
            if (InputGradients[1] is not { } second)
                continue;
            if (places == 1)
                PlaneKernels.Multiply(dy, Input.Row(row), factors, places, second.Row(row));
            else
                PlaneKernels.SumProducts(dy, Input.Row(row), factors, places, second.Row(row));
        }
    }
}

/// <summary>A product of two values in a model.</summary>
/// <param name="size">The values of a row.</param>
/// <param name="factors">Its factors: as many, or one for each run of values.</param>
sealed unsafe class MultiplyOperation(int size, int factors) : MergeOperation(size)
{
    public override void Run(float** x, float* y, int rows, float* work)
    {
        float* values = x[0], factor = x[1];
        for (int row = 0; row < rows; row++, values += Outputs, factor += factors, y += Outputs)
            PlaneKernels.Multiply(values, factor, factors, Outputs / factors, y);
    }
}
