using System.Buffers;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The rows of the batch at hand, at addresses that stay while it is: in the data's own memory, or where the data's
/// source has put them.
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

    /// <summary>Where each row of the batch is, counted in rows from the addresses.</summary>
    public ReadOnlySpan<int> Places => places.AsSpan(0, count);

    /// <summary>Row after row.</summary>
    public float* Features { get; private set; }

    /// <summary>Row after row.</summary>
    public float* Targets { get; private set; }

    /// <summary>One a row, or null.</summary>
    public float* Weights { get; private set; }

    /// <summary>The number in the data of a row of the batch.</summary>
    public int Number(int row) => numbers[row];

    /// <summary>Turns to a batch.</summary>
    /// <exception cref="IOException">The data's source cannot read it.</exception>
    public void Bring(ReadOnlySpan<int> rows)
    {
        if (numbers.Length < rows.Length)
            Grow(rows.Length);
        rows.CopyTo(numbers);
        count = rows.Length;
        if (data.Source is null)
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
