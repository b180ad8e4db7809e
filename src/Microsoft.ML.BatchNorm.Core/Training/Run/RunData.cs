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
        CheckClassWeights(options, network.OutputShape.Size);
    }

    public TrainingData Data { get; }

    /// <summary>In ascending order.</summary>
    public int[] TrainingRows { get; }

    public RowSet Training { get; }

    public RowSet? Validation { get; }

    /// <summary>The order of an epoch, counted over all phases as planned.</summary>
    public int[] Order(TrainingOptions options, long epoch)
    {
        int[] order = [.. TrainingRows];
        if (options.Shuffle)
            RowOrder.Shuffle(order, options.Seed, epoch);
        return order;
    }

    static void CheckClassWeights(TrainingOptions options, int outputs)
    {
        if (options.ClassWeights.IsEmpty)
            return;
        int needed = options.Loss switch
        {
            SoftmaxCrossEntropyLoss => outputs,
            BinaryCrossEntropyLoss when outputs == 1 => 2,
            _ => throw new ArgumentException(
                $"ClassWeights go with SoftmaxCrossEntropy, and with BinaryCrossEntropy on one output, not with "
                + $"{options.Loss.GetType().Name} on {outputs}.", nameof(options)),
        };
        if (options.ClassWeights.Length != needed)
            throw new ArgumentException(
                $"There are {options.ClassWeights.Length} ClassWeights; {needed} are needed.", nameof(options));
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
