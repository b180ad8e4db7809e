using System.Buffers;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The rows of the current batch, at addresses that do not change while it is current: in the memory of the data, or in
/// buffers for rows that are read from a source.
/// </summary>
sealed unsafe class BatchRows : IDisposable
{
    readonly TrainingData data;
    readonly MemoryHandle[] handles = [];
    int[] numbers = [], places = [];
    AlignedMemory<float> features = new(0), targets = new(0), weights = new(0);
    int count;

    public BatchRows(TrainingData data)
    {
        this.data = data;
        if (data.Source is not null)
            return;
        handles = [data.Features.Pin(), data.Targets.Pin(), data.Weights.Pin()];
        Features = (float*)handles[0].Pointer;
        Targets = (float*)handles[1].Pointer;
        Weights = data.HasWeights ? (float*)handles[2].Pointer : null;
    }

    /// <summary>
    /// Where each row of the batch is, in rows from the start of <see cref="Features"/>, <see cref="Targets"/> and
    /// <see cref="Weights"/>.
    /// </summary>
    public ReadOnlySpan<int> Places => places.AsSpan(0, count);

    public bool HasWeights => data.HasWeights;

    /// <summary>The features, row after row.</summary>
    public float* Features { get; private set; }

    /// <summary>The targets, row after row.</summary>
    public float* Targets { get; private set; }

    /// <summary>One weight per row, or null.</summary>
    public float* Weights { get; private set; }

    /// <summary>The number that a row of the batch has in the data.</summary>
    public int Number(int row) => numbers[row];

    /// <summary>Makes a batch the current one.</summary>
    /// <exception cref="IOException">The data's source cannot read the rows.</exception>
    public void Bring(ReadOnlySpan<int> rows)
    {
        if (numbers.Length < rows.Length)
            Grow(rows.Length);
        rows.CopyTo(numbers);
        count = rows.Length;
        if (data.Source is null || count == 0)
            return;
        data.Read(
            rows, features.Span[..(count * data.FeaturesPerRow)], targets.Span[..(count * data.TargetsPerRow)],
            weights.Span[..(data.HasWeights ? count : 0)]);
    }

    public void Dispose() => Array.ForEach(handles, handle => handle.Dispose());

    void Grow(int rows)
    {
        numbers = new int[rows];
        if (data.Source is null)
        {
            places = numbers;
            return;
        }
        places = [.. Enumerable.Range(0, rows)];
        features = new AlignedMemory<float>((long)rows * data.FeaturesPerRow);
        targets = new AlignedMemory<float>((long)rows * data.TargetsPerRow);
        Features = features.Start;
        Targets = targets.Start;
        if (!data.HasWeights)
            return;
        weights = new AlignedMemory<float>(rows);
        Weights = weights.Start;
    }
}
