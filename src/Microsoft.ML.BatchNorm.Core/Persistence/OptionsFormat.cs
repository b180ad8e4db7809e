namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// A layer's options as bytes, little-endian. Version 1: axis (int32, 0 for none), momentum and ε (float64), the
/// switches center, scale, trainable, update statistics, train affine and track moving statistics, the kinds of moving
/// statistics, variance and non-finite policy (one byte each), virtual batch size (int32, 0 for none), renorm, the
/// initializers of γ, β, moving mean and moving variance, the regularizers of γ and β, the constraints of γ and β. What
/// can be absent begins with a byte that is 0 where it is; what has kinds begins with the kind's byte.
/// </summary>
static class OptionsFormat
{
    /// <summary>What stands for none: the batch's axis, which no layer has.</summary>
    const int NoAxis = 0;

    public static byte[] ToBytes(BatchNormalizationOptions options)
    {
        var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write(options.Axis ?? NoAxis);
        writer.Write(options.Momentum);
        writer.Write(options.Epsilon);
        writer.Write(options.Center);
        writer.Write(options.Scale);
        writer.Write(options.Trainable);
        writer.Write(options.UpdateStatistics);
        writer.Write(options.TrainAffine);
        writer.Write(options.TrackMovingStatistics);
        writer.Write((byte)options.MovingStatistics);
        writer.Write((byte)options.VarianceConvention);
        writer.Write((byte)options.NonFinite);
        writer.Write(options.VirtualBatchSize ?? 0);
        Write(writer, options.Renorm);
        OptionParts.Write(writer, options.GammaInitializer);
        OptionParts.Write(writer, options.BetaInitializer);
        OptionParts.Write(writer, options.MovingMeanInitializer);
        OptionParts.Write(writer, options.MovingVarianceInitializer);
        OptionParts.Write(writer, options.GammaRegularizer);
        OptionParts.Write(writer, options.BetaRegularizer);
        OptionParts.Write(writer, options.GammaConstraint);
        OptionParts.Write(writer, options.BetaConstraint);
        writer.Flush();
        return stream.ToArray();
    }

    /// <summary>Reads what <see cref="ToBytes"/> wrote, to the last byte.</summary>
    /// <exception cref="InvalidDataException">A kind is not known, or bytes are left.</exception>
    /// <exception cref="EndOfStreamException">Bytes are missing.</exception>
    /// <exception cref="ArgumentException">A value is out of range.</exception>
    public static BatchNormalizationOptions FromBytes(byte[] bytes)
    {
        using var reader = new BinaryReader(new MemoryStream(bytes));
        // Initializers run in the order in which they are written, which is the order of the bytes.
        var options = new BatchNormalizationOptions
        {
            Axis = reader.ReadInt32() is var axis and not NoAxis ? axis : null,
            Momentum = reader.ReadDouble(),
            Epsilon = reader.ReadDouble(),
            Center = reader.ReadBoolean(),
            Scale = reader.ReadBoolean(),
            Trainable = reader.ReadBoolean(),
            UpdateStatistics = reader.ReadBoolean(),
            TrainAffine = reader.ReadBoolean(),
            TrackMovingStatistics = reader.ReadBoolean(),
            MovingStatistics = (MovingStatistics)reader.ReadByte(),
            VarianceConvention = (VarianceConvention)reader.ReadByte(),
            NonFinite = (NonFinite)reader.ReadByte(),
            VirtualBatchSize = reader.ReadInt32() is var size and not 0 ? size : null,
            Renorm = ReadRenorm(reader),
            GammaInitializer = OptionParts.ReadInitializer(reader),
            BetaInitializer = OptionParts.ReadInitializer(reader),
            MovingMeanInitializer = OptionParts.ReadInitializer(reader),
            MovingVarianceInitializer = OptionParts.ReadInitializer(reader),
            GammaRegularizer = OptionParts.ReadRegularizer(reader),
            BetaRegularizer = OptionParts.ReadRegularizer(reader),
            GammaConstraint = OptionParts.ReadConstraint(reader),
            BetaConstraint = OptionParts.ReadConstraint(reader),
        };
        return reader.BaseStream.Position == bytes.Length
            ? options
            : throw new InvalidDataException($"{bytes.Length - reader.BaseStream.Position} bytes follow the options.");
    }

    static void Write(BinaryWriter writer, RenormOptions? renorm)
    {
        writer.Write(renorm is not null);
        if (renorm is null)
            return;
        Write(writer, renorm.RMin);
        Write(writer, renorm.RMax);
        Write(writer, renorm.DMax);
        writer.Write(renorm.Momentum);
    }

    static RenormOptions? ReadRenorm(BinaryReader reader) => !reader.ReadBoolean() ? null : new RenormOptions
    {
        RMin = ReadLimit(reader),
        RMax = ReadLimit(reader),
        DMax = ReadLimit(reader),
        Momentum = reader.ReadDouble(),
    };

    static void Write(BinaryWriter writer, double? limit)
    {
        writer.Write(limit is not null);
        if (limit is { } value)
            writer.Write(value);
    }

    static double? ReadLimit(BinaryReader reader) => reader.ReadBoolean() ? reader.ReadDouble() : null;
}
