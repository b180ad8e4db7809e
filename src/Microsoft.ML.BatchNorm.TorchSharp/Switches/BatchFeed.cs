namespace Microsoft.ML.BatchNorm.TorchSharp.Switches;

/// <summary>The batches that a module is run on.</summary>
/// <param name="Batches">They are gone through as often as is needed.</param>
/// <param name="Forward">Runs the module on one; its tensors are disposed of afterwards.</param>
/// <param name="Rows">What is known of a batch's rows, or null.</param>
sealed record BatchFeed<TBatch>(IEnumerable<TBatch> Batches, Action<TBatch> Forward, BatchRows<TBatch>? Rows)
{
    public void Run(TBatch batch)
    {
        using var scope = torch.NewDisposeScope();
        Forward(batch);
    }
}

/// <summary>A batch as rows of one shape.</summary>
/// <param name="Shape">Its shape, with the number of rows first.</param>
/// <param name="Part">So many of its rows from one on.</param>
sealed record BatchRows<TBatch>(Func<TBatch, long[]> Shape, Func<TBatch, long, long, TBatch> Part);
