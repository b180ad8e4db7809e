namespace Microsoft.ML.BatchNorm;

/// <summary>The mean of each channel of an image: <c>[channels, height, width]</c> becomes <c>[channels]</c>.</summary>
public sealed record GlobalAveragePool2DLayer : Layer
{
    /// <inheritdoc/>
    public override string Kind => "GlobalAveragePool2D";

    internal override string DefaultName => "global_average_pooling2d";

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return input.Rank == 3 ? new TensorShape(input[0]) : throw Misfit(input, "[channels, height, width]");
    }

    internal override Stage CreateStage(StageContext context) => new GlobalAveragePool2DStage(context);

    internal override ServingValue CreateServing(ServingContext context) =>
        context.Operations.Add(new GlobalAverageOperation(context.Node.Input), context.Input);
}

/// <summary>A <see cref="GlobalAveragePool2DLayer"/> in a training session.</summary>
sealed unsafe class GlobalAveragePool2DStage(StageContext context)
    : Stage(context, new RowBuffer(context.Node.Output.Size))
{
    readonly int channels = context.Node.Input[0], places = context.Node.Input[1] * context.Node.Input[2];

    public override RowBuffer MakeInputGradient() => new(Node.Input.Size);

    public override IEnumerable<Pass> Forward() => [Pass.OnRows(Average)];

    public override IEnumerable<Pass> Backward() => InputGradient is null ? [] : [Pass.OnRows(GoBack)];

    void Average(RowBlock block)
    {
        for (int row = block.First; row < block.First + block.Rows; row++)
            PlaneKernels.Means(Input.Row(row), channels, places, Output.Row(row));
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

/// <summary>A <see cref="GlobalAveragePool2DLayer"/> in a model.</summary>
sealed unsafe class GlobalAverageOperation(TensorShape image) : ServingOperation(image.Size, image[0])
{
    public override void Run(float* x, float* y, int rows, float* work)
    {
        for (int row = 0; row < rows; row++, x += Inputs, y += Outputs)
            PlaneKernels.Means(x, Outputs, Inputs / Outputs, y);
    }
}
