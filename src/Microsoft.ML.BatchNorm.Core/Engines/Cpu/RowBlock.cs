namespace Microsoft.ML.BatchNorm;

/// <summary>Some rows of a batch that one thread takes through several passes while they are in its caches.</summary>
/// <param name="Index">The number of the block, from 0.</param>
/// <param name="First">Its first row in the batch.</param>
/// <param name="Rows">Its number of rows, at least 1.</param>
readonly record struct RowBlock(int Index, int First, int Rows);
