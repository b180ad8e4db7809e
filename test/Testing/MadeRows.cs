namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>Rows that are computed when they are read, and write down what is read.</summary>
/// <param name="rows">The number of rows.</param>
/// <param name="features">Values in a row's features.</param>
/// <param name="hasWeights">Whether rows have weights.</param>
sealed class MadeRows(int rows, int features, bool hasWeights = false) : ITrainingRows
{
    public int Rows => rows;

    public int FeaturesPerRow => features;

    public int TargetsPerRow => 1;

    public bool HasWeights => hasWeights;

    /// <summary>The rows of each reading.</summary>
    public List<int[]> Readings { get; } = [];

    /// <summary>The class of a row.</summary>
    public Func<int, float> Target { get; init; } = row => row % 3;

    public Func<int, float> Weight { get; init; } = row => 0.5f + row % 4;

    /// <summary>Called before each reading with how many there were.</summary>
    public Action<int> OnRead { get; set; } = _ => { };

    public void Read(ReadOnlySpan<int> numbers, Span<float> values, Span<float> targets, Span<float> weights)
    {
        OnRead(Readings.Count);
        Readings.Add(numbers.ToArray());
        for (int i = 0; i < numbers.Length; i++)
        {
            int row = numbers[i];
            Span<float> own = values.Slice(i * features, features);
            for (int slot = 0; slot < own.Length; slot++)
                own[slot] = (row % 3 == slot % 3 ? 1f : 0f) + unchecked((uint)(row * 31 + slot) * 2654435761u) * 1e-10f;
            targets[i] = Target(row);
            if (hasWeights)
                weights[i] = Weight(row);
        }
    }

    /// <summary>The same rows in memory.</summary>
    public TrainingData InMemory()
    {
        float[] all = new float[rows * features], targets = new float[rows], weights = new float[hasWeights ? rows : 0];
        Read([.. Enumerable.Range(0, rows)], all, targets, weights);
        Readings.Clear();
        return new TrainingData(rows, all, targets, weights);
    }

    /// <summary>The same rows in a temporary file.</summary>
    public RowFile OnDisk(string folder)
    {
        TrainingData data = InMemory();
        var file = new RowFile(folder, features, 1, hasWeights);
        for (int row = 0; row < rows; row++)
        {
            file.Add(
                data.Features.Span.Slice(row * features, features), data.Targets.Span.Slice(row, 1),
                hasWeights ? data.Weights.Span[row] : 1);
        }
        file.Complete();
        return file;
    }
}
