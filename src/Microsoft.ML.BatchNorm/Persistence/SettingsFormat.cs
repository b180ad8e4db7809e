using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;
using Options = Microsoft.ML.Transforms.BatchNormalizationEstimator.Options;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// How a transformer is fitted on, in a model entry behind the columns: the mask column's name (int32,
/// in ML.NET's table of strings, −1 for none), the batch size and the epochs (int32 each), whether to shuffle, whether
/// there is a seed (one byte each), the seed (int32, 0 for none), the statistics down the chain and whether to warn on
/// drift (one byte each), and the CRC-32C of all of them (uint32).
/// </summary>
static class SettingsFormat
{
    const int Length = 4 + 4 + 1 + 1 + 4 + 1 + 1;

    public static void Write(ModelSaveContext ctx, Options settings)
    {
        byte[] numbers = ToBytes(settings);
        ctx.SaveStringOrNull(settings.MaskColumnName);
        ctx.Writer.Write(numbers);
        ctx.Writer.Write(EntryChecksum.Of(numbers, settings.MaskColumnName));
    }

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    /// <exception cref="EndOfStreamException">Bytes are missing.</exception>
    /// <exception cref="ArgumentException">A value is out of range.</exception>
    public static Options Read(IHostEnvironment env, ModelLoadContext ctx)
    {
        string? mask = ctx.LoadStringOrNull();
        byte[] numbers = ctx.Reader.ReadBytes(Length);
        env.CheckDecode(
            ctx.Reader.ReadUInt32() == EntryChecksum.Of(numbers, mask),
            "The checksum of a batch normalization's settings does not match.");
        Options settings = FromBytes(numbers);
        settings.MaskColumnName = mask;
        settings.Check(env);
        return settings;
    }

    static byte[] ToBytes(Options settings)
    {
        var stream = new MemoryStream(Length);
        using var writer = new BinaryWriter(stream);
        writer.Write(settings.BatchSize);
        writer.Write(settings.Epochs);
        writer.Write(settings.Shuffle);
        writer.Write(settings.Seed is not null);
        writer.Write(settings.Seed ?? 0);
        writer.Write((byte)settings.TrainDownstreamOn);
        writer.Write(settings.WarnOnDrift);
        return stream.ToArray();
    }

    static Options FromBytes(byte[] bytes)
    {
        using var reader = new BinaryReader(new MemoryStream(bytes));
        return new Options
        {
            BatchSize = reader.ReadInt32(),
            Epochs = reader.ReadInt32(),
            Shuffle = reader.ReadBoolean(),
            Seed = ReadSeed(reader),
            TrainDownstreamOn = (DownstreamStatistics)reader.ReadByte(),
            WarnOnDrift = reader.ReadBoolean(),
        };
    }

    static int? ReadSeed(BinaryReader reader)
    {
        bool isGiven = reader.ReadBoolean();
        int seed = reader.ReadInt32();
        return isGiven ? seed : null;
    }
}
