namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// A learning-rate schedule as bytes: a kind, and what the kind has; a warm-up's epochs (int32), then the schedule
/// behind.
/// </summary>
static class ScheduleFormat
{
    const byte Constant = 1, Step = 2, Cosine = 3, WarmUp = 4;

    /// <summary>Warm-ups behind one another.</summary>
    const int MaxDepth = 64;

    public static void Write(BinaryWriter writer, LearningRateSchedule schedule, int depth = 0)
    {
        switch (schedule)
        {
            case LearningRateSchedule.ConstantSchedule:
                writer.Write(Constant);
                break;
            case LearningRateSchedule.StepSchedule step:
                writer.Write(Step);
                writer.Write(step.Every);
                writer.Write(step.Multiplier);
                break;
            case LearningRateSchedule.CosineSchedule cosine:
                writer.Write(Cosine);
                writer.Write(cosine.Last);
                break;
            case LearningRateSchedule.WarmUpSchedule warmUp when depth < MaxDepth:
                writer.Write(WarmUp);
                writer.Write(warmUp.Over);
                Write(writer, warmUp.Then, depth + 1);
                break;
            default:
                throw new NotSupportedException($"{schedule} cannot be saved.");
        }
    }

    public static LearningRateSchedule Read(BinaryReader reader, int depth = 0)
    {
        byte kind = reader.ReadByte();
        switch (kind)
        {
            case Constant:
                return LearningRateSchedule.Constant;
            case Step:
                return LearningRateSchedule.Step(reader.ReadInt32(), reader.ReadDouble());
            case Cosine:
                return LearningRateSchedule.Cosine(reader.ReadDouble());
            case WarmUp when depth < MaxDepth:
                int epochs = reader.ReadInt32();
                return Read(reader, depth + 1).WithWarmUp(epochs);
            default:
                throw StateFault.Unknown(kind, "schedule");
        }
    }
}
