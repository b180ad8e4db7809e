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
        (Training, RowSet? held) = RowSet.Split(
            data, validation is null ? options.ValidationSplit : 0, options.Seed);
        Validation = validation is null ? held : new RowSet(validation);
        if (options.EarlyStopping is not null && Validation is null)
            throw new ArgumentException("EarlyStopping needs validation data, or a ValidationSplit.", nameof(options));
        CheckClassWeights(options, network.OutputShape.Size);
    }

    public TrainingData Data { get; }

    public RowSet Training { get; }

    public RowSet? Validation { get; }

    /// <summary>The order of an epoch, counted over all phases as planned.</summary>
    public EpochOrder Order(TrainingOptions options, long epoch) =>
        new(Training, options.Shuffle, options.Seed, epoch);

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

    /// <summary>Of all rows, the same wherever they are.</summary>
    public static uint Checksum(params ReadOnlySpan<TrainingData?> parts)
    {
        var numbers = new List<uint>();
        foreach (TrainingData? part in parts)
        {
            numbers.Add((uint)(part?.Rows ?? 0));
            if (part is null)
                continue;
            numbers.Add(part.Inspection?.Features ?? Crc32C.Of(part.Features.Span));
            numbers.Add(part.Inspection?.Targets ?? Crc32C.Of(part.Targets.Span));
            numbers.Add(part.Inspection?.Weights ?? Crc32C.Of(part.Weights.Span));
        }
        return Crc32C.Of<uint>([.. numbers]);
    }
}
