namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Rows to train on that do not lie in one array, but are read by their numbers as often as a run needs them: from a
/// file, a database, or several arrays. <see cref="TrainingData(ITrainingRows)"/> makes data of them.
/// </summary>
/// <remarks>
/// A row must have the same values each time. A run reads all rows once in ascending order, to check them and to know
/// them again when it is resumed. Then each epoch reads the rows of 64 MB at a time in a random order; these are blocks
/// of 256 KB of neighbouring rows (one row where a row is larger), so that whoever keeps 64 MB of blocks in memory reads
/// each block once in an epoch. Evaluations and statistics read in ascending order. Calls come one at a time, but not
/// always on the same thread.
/// </remarks>
public interface ITrainingRows
{
    /// <summary>The number of rows, at least 1.</summary>
    int Rows { get; }

    /// <summary>The number of values in a row's features, at least 1.</summary>
    int FeaturesPerRow { get; }

    /// <summary>The number of values in a row's targets, at least 1.</summary>
    int TargetsPerRow { get; }

    /// <summary>Whether each row has a weight.</summary>
    bool HasWeights { get; }

    /// <summary>Copies rows, one behind the other.</summary>
    /// <param name="rows">Their numbers, from 0.</param>
    /// <param name="features">Receives <see cref="FeaturesPerRow"/> values for each of them.</param>
    /// <param name="targets">Receives <see cref="TargetsPerRow"/> values for each of them.</param>
    /// <param name="weights">Receives one value for each of them; empty without <see cref="HasWeights"/>.</param>
    /// <exception cref="IOException">The rows cannot be read.</exception>
    void Read(ReadOnlySpan<int> rows, Span<float> features, Span<float> targets, Span<float> weights);
}
