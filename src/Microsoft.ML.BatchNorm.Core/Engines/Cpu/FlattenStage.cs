namespace Microsoft.ML.BatchNorm;

/// <summary><see cref="FlattenLayer"/>: the same buffer under another shape.</summary>
sealed class FlattenStage(NetworkNode node, RowBuffer input) : Stage(node, input, input)
{
    public override IEnumerable<Pass> Forward() => [];

    public override IEnumerable<Pass> Backward() => [];
}
