namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// Training options as bytes, little-endian. Version 1: loss, optimizer and schedule (a kind each, and the numbers
/// that the kind has), epochs, batch size (int32), shuffle (byte), seed (int32), clipping (byte, float64 where it is
/// 1), class weights (int32, float64 each), validation split (float64), early stopping (byte; patience int32,
/// improvement float64, restore byte where it is 1), recompute, evaluate and standardized targets (byte each). The
/// checkpoint's path is no part of it, and whether statistics are recorded shows in the run.
/// </summary>
static class TrainingOptionsFormat
{
    public static void Write(BinaryWriter writer, TrainingOptions options)
    {
        TrainingParts.Write(writer, options.Loss);
        TrainingParts.Write(writer, options.Optimizer);
        ScheduleFormat.Write(writer, options.LearningRateSchedule);
        writer.Write(options.Epochs);
        writer.Write(options.BatchSize);
        writer.Write(options.Shuffle);
        writer.Write(options.Seed);
        writer.Write(options.GradientClipNorm is not null);
        if (options.GradientClipNorm is { } norm)
            writer.Write(norm);
        writer.Write(options.ClassWeights.Length);
        foreach (double weight in options.ClassWeights)
            writer.Write(weight);
        writer.Write(options.ValidationSplit);
        writer.Write(options.EarlyStopping is not null);
        if (options.EarlyStopping is { } stopping)
        {
            writer.Write(stopping.Patience);
            writer.Write(stopping.MinimumImprovement);
            writer.Write(stopping.RestoreBest);
        }
        writer.Write(options.RecomputeStatistics);
        writer.Write(options.EvaluateTrainingData);
        writer.Write(options.StandardizesTargets);
    }

    // Initializers run in the order in which they are written, which is the order of the bytes.
    public static TrainingOptions Read(BinaryReader reader) => new()
    {
        Loss = TrainingParts.ReadLoss(reader),
        Optimizer = TrainingParts.ReadOptimizer(reader),
        LearningRateSchedule = ScheduleFormat.Read(reader),
        Epochs = reader.ReadInt32(),
        BatchSize = reader.ReadInt32(),
        Shuffle = reader.ReadBoolean(),
        Seed = reader.ReadInt32(),
        GradientClipNorm = reader.ReadBoolean() ? reader.ReadDouble() : null,
        ClassWeights = [.. ReadDoubles(reader)],
        ValidationSplit = reader.ReadDouble(),
        EarlyStopping = reader.ReadBoolean()
            ? new EarlyStopping
            {
                Patience = reader.ReadInt32(),
                MinimumImprovement = reader.ReadDouble(),
                RestoreBest = reader.ReadBoolean(),
            }
            : null,
        RecomputeStatistics = reader.ReadBoolean(),
        EvaluateTrainingData = reader.ReadBoolean(),
        StandardizesTargets = reader.ReadBoolean(),
    };

    static List<double> ReadDoubles(BinaryReader reader)
    {
        var values = new List<double>();
        for (int left = reader.ReadInt32(); left > 0; left--)
            values.Add(reader.ReadDouble());
        return values;
    }
}
