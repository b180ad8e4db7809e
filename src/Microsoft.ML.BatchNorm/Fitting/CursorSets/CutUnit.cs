using Microsoft.ML.BatchNorm;

namespace Microsoft.ML.Transforms;

/// <summary>The rows of a unit, its place among all units, and the centers of its shard, one for each column.</summary>
/// <param name="Number">Its place.</param>
/// <param name="Parts">Its rows: full blocks, but for the last unit's.</param>
/// <param name="Centers">The centers.</param>
sealed record CutUnit(long Number, RowBlock[] Parts, RowCenter[] Centers);
