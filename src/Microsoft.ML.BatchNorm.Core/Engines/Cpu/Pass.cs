namespace Microsoft.ML.BatchNorm;

/// <summary>
/// One thing that a stage does to a batch. Passes over rows that follow one another are run block by block, so that a
/// block stays in the caches from one to the next; <see cref="Then"/> ends such a run.
/// </summary>
sealed class Pass
{
    Pass(Action<RowBlock>? rows, Action? then, Action<int>? item, int items) =>
        (Rows, Then, Item, Items) = (rows, then, item, items);

    /// <summary>What is done to a block of rows, or null.</summary>
    public Action<RowBlock>? Rows { get; }

    /// <summary>What is done once, on one thread, when all rows are; what follows waits for it. Or null.</summary>
    public Action? Then { get; }

    /// <summary>What is done to an item of other work, or null.</summary>
    public Action<int>? Item { get; }

    public int Items { get; }

    /// <summary>Work on each block of rows, which needs of earlier passes the same block alone.</summary>
    public static Pass OnRows(Action<RowBlock> rows, Action? then = null) => new(rows, then, null, 0);

    /// <summary>
    /// Work that needs all rows of the passes before it, and that nothing before the end of the step needs: it is run
    /// beside later passes.
    /// </summary>
    public static Pass OnItems(int items, Action<int> item) => new(null, null, item, items);
}
