namespace Microsoft.ML.BatchNorm.Training;

/// <summary>Some rows of data, copied, until the next ones are.</summary>
/// <param name="data">The data.</param>
/// <param name="most">The most rows of a part.</param>
sealed class RowPart(TrainingData data, int most)
{
    const int Values = 1 << 16;

    readonly int[] rows = new int[most];
    readonly float[] features = new float[most * data.FeaturesPerRow], targets = new float[most * data.TargetsPerRow],
        weights = new float[data.HasWeights ? most : 0];
    int count;

    /// <summary>Their numbers in the data.</summary>
    public ReadOnlySpan<int> Rows => rows.AsSpan(0, count);

    public ReadOnlySpan<float> Features => features.AsSpan(0, count * data.FeaturesPerRow);

    public ReadOnlySpan<float> Targets => targets.AsSpan(0, count * data.TargetsPerRow);

    /// <summary>One a row, or empty.</summary>
    public ReadOnlySpan<float> Weights => data.HasWeights ? weights.AsSpan(0, count) : [];

    /// <summary>Goes through rows of data; it is the same part each time, with other rows.</summary>
    /// <param name="data">The data.</param>
    /// <param name="rows">Which of its rows.</param>
    /// <param name="most">The most rows of a part; null for some 256 KB.</param>
    public static IEnumerable<RowPart> Of(TrainingData data, IReadOnlyCollection<int> rows, int? most = null)
    {
        var part = new RowPart(data, Math.Clamp(most ?? Values / data.ValuesPerRow, 1, Math.Max(1, rows.Count)));
        using IEnumerator<int> numbers = rows.GetEnumerator();
        while (part.Take(numbers))
            yield return part;
    }

    bool Take(IEnumerator<int> numbers)
    {
        for (count = 0; count < rows.Length && numbers.MoveNext(); count++)
            rows[count] = numbers.Current;
        if (count == 0)
            return false;
        data.Read(
            Rows, features.AsSpan(0, Features.Length), targets.AsSpan(0, Targets.Length),
            weights.AsSpan(0, Weights.Length));
        return true;
    }
}
