namespace Microsoft.ML.BatchNorm;

/// <summary>Puts all values of a row into one dimension, in row-major order.</summary>
public sealed record FlattenLayer : Layer
{
    /// <inheritdoc/>
    public override string Kind => "Flatten";

    internal override string DefaultName => "flatten";

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new TensorShape(input.Size);
    }

    internal override Stage CreateStage(StageContext context) => new FlattenStage(context);

    internal override ServingValue CreateServing(ServingContext context) =>
        new(context.Operations.Complete(context.Input));
}

/// <summary>A <see cref="FlattenLayer"/> in a training session: its output is the same buffer as its input.</summary>
sealed class FlattenStage(StageContext context) : Stage(context, context.Input)
{
    public override IEnumerable<Pass> Forward() => [];

    public override IEnumerable<Pass> Backward() => [];
}
