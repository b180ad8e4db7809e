using Microsoft.ML.BatchNorm.Persistence;

namespace Microsoft.ML.BatchNorm.Training;

/// <summary>The rows of a run: which are trained on, and which validated with.</summary>
sealed class RunData
{
    public RunData(TrainingData data, TrainingData? validation, Network network, TrainingOptions options)
    {
        data.CheckFits(network, options.Loss);
        validation?.CheckFits(network, options.Loss);
        Data = data;
        (TrainingRows, int[] held) = RowOrder.Split(
            data.Rows, validation is null ? options.ValidationSplit : 0, options.Seed);
        Training = new RowSet(data, TrainingRows);
        Validation = validation is not null ? new RowSet(validation, null)
            : held.Length > 0 ? new RowSet(data, held)
            : null;
        if (options.EarlyStopping is not null && Validation is null)
            throw new ArgumentException("EarlyStopping needs validation data, or a ValidationSplit.", nameof(options));
    }

    public TrainingData Data { get; }

    /// <summary>In ascending order.</summary>
    public int[] TrainingRows { get; }

    public RowSet Training { get; }

    public RowSet? Validation { get; }

    /// <summary>The order of an epoch, counted over all phases as planned.</summary>
    public int[] Order(TrainingOptions options, int epoch)
    {
        int[] order = [.. TrainingRows];
        if (options.Shuffle)
            RowOrder.Shuffle(order, options.Seed, epoch);
        return order;
    }

    public static uint Checksum(params ReadOnlySpan<TrainingData?> parts)
    {
        var sink = new ByteSink(Stream.Null);
        foreach (TrainingData? part in parts)
        {
            sink.Write(part?.Rows ?? 0);
            if (part is null)
                continue;
            sink.WriteArray(part.Features.Span);
            sink.WriteArray(part.Targets.Span);
            sink.WriteArray(part.Weights.Span);
        }
        return sink.Checksum.Value;
    }
}

/// <summary>Rows of data, or all of it where they are null.</summary>
sealed record RowSet(TrainingData Data, int[]? Rows)
{
    public int Count => Rows?.Length ?? Data.Rows;

    public int this[int index] => Rows?[index] ?? index;
}
