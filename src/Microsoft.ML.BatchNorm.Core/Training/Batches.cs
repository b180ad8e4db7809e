namespace Microsoft.ML.BatchNorm.Training;

/// <summary>
/// How an epoch's rows are cut into steps: the last batch is what is left over, and a single row that is left over goes
/// with the batch before it.
/// </summary>
readonly record struct Batches(int Rows, int BatchSize)
{
    public long Count
    {
        get
        {
            int full = Rows / BatchSize, left = Rows % BatchSize;
            return full + (left > 1 || full == 0 ? 1 : 0);
        }
    }

    public Range this[long step] => (int)RowsBefore(step)..(int)RowsBefore(step + 1);

    /// <summary>The rows of the steps before this one.</summary>
    public long RowsBefore(long step) => step >= Count ? Rows : step * BatchSize;

    public long RowsIn(long step) => RowsBefore(step + 1) - RowsBefore(step);
}
