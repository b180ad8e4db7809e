using System.Collections.Immutable;
using System.Text;
using Microsoft.ML.BatchNorm.Training;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// All of a checkpoint but its long arrays as bytes, little-endian. Version 1: the network's definition (int32 bytes
/// before it), <see cref="TrainingOptionsFormat">options</see>, the number of phases (int32), each with name, epochs
/// (int32), learning rate (float64) and definition; the data's checksum (uint32); phase, epoch (int32), step (int64),
/// sum of losses (float64); the best epoch (int32, 0 for none) with its loss (float64) and whether its state follows
/// (byte); the number of epochs (int32), each with name of its phase, number (int32), loss, validation loss, metric,
/// validation metric (float64, NaN with a payload of 1 for none) and learning rate; the optimizer's steps (int64) and
/// number of moments (int32), each with name and length (int32). Names are UTF-8 behind their length (uint16). A run
/// that records statistics has them behind all this, as <see cref="StatisticsFormat"/> has them.
/// </summary>
static class RunFormat
{
    /// <summary>No result of a computation, so that it stands for "none" among doubles.</summary>
    const long NoneBits = 0x7FF8_0000_0000_0001;

    static readonly UTF8Encoding utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public static byte[] ToBytes(RunSetup setup, RunPosition position)
    {
        var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        WriteSetup(writer, setup);
        writer.Write(position.Phase);
        writer.Write(position.Epoch);
        writer.Write(position.Step);
        writer.Write(position.LossSum);
        writer.Write(position.Best?.Epoch ?? 0);
        if (position.Best is { } best)
        {
            writer.Write(best.Loss);
            writer.Write(best.State is not null);
        }
        writer.Write(position.History.Length);
        foreach (EpochResult epoch in position.History)
            WriteEpoch(writer, epoch);
        writer.Write(position.Optimizer.Steps);
        writer.Write(position.Optimizer.Moments.Count);
        foreach ((string name, ImmutableArray<float> values) in position.Optimizer.Moments)
        {
            WriteName(writer, name);
            writer.Write(values.Length);
        }
        if (setup.Options.RecordStatistics)
            StatisticsFormat.Write(writer, position.Statistics);
        writer.Flush();
        return stream.ToArray();
    }

    /// <summary>Reads what <see cref="ToBytes"/> wrote, to the last byte.</summary>
    /// <exception cref="InvalidDataException">A value is out of range, or bytes are missing or left.</exception>
    public static SavedRun FromBytes(byte[] bytes)
    {
        using var reader = new BinaryReader(new MemoryStream(bytes));
        try
        {
            SavedRun run = Read(reader);
            return reader.BaseStream.Position == bytes.Length
                ? run
                : throw new InvalidDataException($"{bytes.Length - reader.BaseStream.Position} bytes follow the run.");
        }
        catch (Exception error) when (error is ArgumentException or EndOfStreamException)
        {
            throw new InvalidDataException($"The run is wrong: {NetworkFormat.Fault(error)}", error);
        }
    }

    static SavedRun Read(BinaryReader reader)
    {
        RunSetup setup = ReadSetup(reader);
        var run = new SavedRun(setup)
        {
            Phase = InRange(reader.ReadInt32(), 0, setup.Phases.Length - 1, "phase"),
        };
        run.Epoch = InRange(reader.ReadInt32(), 0, setup.Phases[run.Phase].Epochs, "epoch");
        run.Step = InRange(reader.ReadInt64(), 0, int.MaxValue, "step");
        run.LossSum = Check.Finite(reader.ReadDouble(), "the sum of losses");
        run.BestEpoch = InRange(reader.ReadInt32(), 0, run.Epoch, "best epoch");
        if (run.BestEpoch > 0)
        {
            run.BestLoss = Check.Finite(reader.ReadDouble(), "the best loss");
            run.HasBestState = reader.ReadBoolean();
        }
        for (int left = reader.ReadInt32(); left > 0; left--)
            run.History.Add(ReadEpoch(reader));
        run.OptimizerSteps = InRange(reader.ReadInt64(), 0, long.MaxValue, "number of the optimizer's steps");
        for (int left = reader.ReadInt32(); left > 0; left--)
        {
            string name = ReadName(reader);
            run.Moments.Add((name, InRange(reader.ReadInt32(), 0, Array.MaxLength, $"length of '{name}'")));
        }
        if (reader.BaseStream.Position < reader.BaseStream.Length)
        {
            run.Setup = setup with { Options = setup.Options with { RecordStatistics = true } };
            StatisticsFormat.Read(reader, run.Statistics);
        }
        return run;
    }

    static void WriteSetup(BinaryWriter writer, RunSetup setup)
    {
        WriteNetwork(writer, setup.Network);
        TrainingOptionsFormat.Write(writer, setup.Options);
        writer.Write(setup.Phases.Length);
        foreach (RunPhase phase in setup.Phases)
        {
            WriteName(writer, phase.Name);
            writer.Write(phase.Epochs);
            writer.Write(phase.LearningRate);
            WriteNetwork(writer, phase.Network);
        }
        writer.Write(setup.DataChecksum);
    }

    static RunSetup ReadSetup(BinaryReader reader)
    {
        Network network = ReadNetwork(reader);
        TrainingOptions options = TrainingOptionsFormat.Read(reader);
        var phases = ImmutableArray.CreateBuilder<RunPhase>();
        int count = InRange(reader.ReadInt32(), 1, int.MaxValue, "number of phases");
        for (int i = 0; i < count; i++)
        {
            string name = ReadName(reader);
            int epochs = InRange(reader.ReadInt32(), 1, int.MaxValue, "number of epochs");
            var phase = new RunPhase(
                name, epochs, Check.NotNegative(reader.ReadDouble(), "the learning rate"), ReadNetwork(reader));
            phase.CheckSameLayers(network);
            phases.Add(phase);
        }
        return new RunSetup(network, options, phases.ToImmutable(), reader.ReadUInt32());
    }

    static void WriteEpoch(BinaryWriter writer, EpochResult epoch)
    {
        WriteName(writer, epoch.Phase);
        writer.Write(epoch.Epoch);
        writer.Write(epoch.Loss);
        WriteOptional(epoch.ValidationLoss);
        WriteOptional(epoch.Metric);
        WriteOptional(epoch.ValidationMetric);
        writer.Write(epoch.LearningRate);

        void WriteOptional(double? value) =>
            writer.Write(value is { } number ? BitConverter.DoubleToInt64Bits(number) : NoneBits);
    }

    static EpochResult ReadEpoch(BinaryReader reader)
    {
        return new EpochResult
        {
            Phase = ReadName(reader),
            Epoch = reader.ReadInt32(),
            Loss = reader.ReadDouble(),
            ValidationLoss = ReadOptional(),
            Metric = ReadOptional(),
            ValidationMetric = ReadOptional(),
            LearningRate = reader.ReadDouble(),
        };

        double? ReadOptional()
        {
            long bits = reader.ReadInt64();
            return bits == NoneBits ? null : BitConverter.Int64BitsToDouble(bits);
        }
    }

    static void WriteNetwork(BinaryWriter writer, Network network)
    {
        byte[] definition = NetworkFormat.ToBytes(network);
        writer.Write(definition.Length);
        writer.Write(definition);
    }

    static Network ReadNetwork(BinaryReader reader)
    {
        int length = InRange(reader.ReadInt32(), 1, CheckpointHeader.MaxRun, "length of a definition");
        return NetworkFormat.FromBytes(ReadBytes(reader, length));
    }

    public static void WriteName(BinaryWriter writer, string name)
    {
        byte[] bytes = utf8.GetBytes(name);
        writer.Write(checked((ushort)bytes.Length));
        writer.Write(bytes);
    }

    public static string ReadName(BinaryReader reader) => utf8.GetString(ReadBytes(reader, reader.ReadUInt16()));

    static byte[] ReadBytes(BinaryReader reader, int count) =>
        count <= reader.BaseStream.Length - reader.BaseStream.Position
            ? reader.ReadBytes(count)
            : throw new EndOfStreamException("Bytes are missing at its end.");

    static T InRange<T>(T value, T least, T most, string what) where T : IComparable<T> =>
        value.CompareTo(least) >= 0 && value.CompareTo(most) <= 0
            ? value
            : throw new InvalidDataException($"The {what} is {value}; from {least} to {most} can be.");
}
