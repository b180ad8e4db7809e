namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>Initializers, regularizers and constraints as bytes: a kind, and the numbers that the kind has.</summary>
static class OptionParts
{
    const byte None = 0;
    const byte Constant = 1, Uniform = 2, Normal = 3;
    const byte L1L2 = 1;
    const byte NonNegative = 1, Norm = 2;

    public static void Write(BinaryWriter writer, Initializer initializer)
    {
        switch (initializer)
        {
            case Initializer.ConstantInitializer constant:
                writer.Write(Constant);
                writer.Write(constant.Value);
                break;
            case Initializer.UniformInitializer uniform:
                writer.Write(Uniform);
                writer.Write(uniform.MinValue);
                writer.Write(uniform.MaxValue);
                writer.Write(uniform.Seed);
                break;
            case Initializer.NormalInitializer normal:
                writer.Write(Normal);
                writer.Write(normal.Mean);
                writer.Write(normal.StandardDeviation);
                writer.Write(normal.Seed);
                break;
            default:
                throw new NotSupportedException($"{initializer} cannot be saved.");
        }
    }

    public static Initializer ReadInitializer(BinaryReader reader) => reader.ReadByte() switch
    {
        Constant => Initializer.Constant(reader.ReadDouble()),
        Uniform => Initializer.Uniform(reader.ReadDouble(), reader.ReadDouble(), reader.ReadInt32()),
        Normal => Initializer.Normal(reader.ReadDouble(), reader.ReadDouble(), reader.ReadInt32()),
        byte kind => throw Unknown(kind, "initializer"),
    };

    public static void Write(BinaryWriter writer, Regularizer? regularizer)
    {
        if (regularizer is null)
        {
            writer.Write(None);
            return;
        }
        writer.Write(L1L2);
        writer.Write(regularizer.Factors.L1);
        writer.Write(regularizer.Factors.L2);
    }

    public static Regularizer? ReadRegularizer(BinaryReader reader) => reader.ReadByte() switch
    {
        None => null,
        L1L2 => Regularizer.L1L2(reader.ReadDouble(), reader.ReadDouble()),
        byte kind => throw Unknown(kind, "regularizer"),
    };

    public static void Write(BinaryWriter writer, Constraint? constraint)
    {
        switch (constraint)
        {
            case null:
                writer.Write(None);
                break;
            case Constraint.NonNegativeConstraint:
                writer.Write(NonNegative);
                break;
            case Constraint.NormConstraint norm:
                writer.Write(Norm);
                writer.Write(norm.MinValue);
                writer.Write(norm.MaxValue);
                writer.Write(norm.Rate);
                break;
            default:
                throw new NotSupportedException($"{constraint} cannot be saved.");
        }
    }

    public static Constraint? ReadConstraint(BinaryReader reader) => reader.ReadByte() switch
    {
        None => null,
        NonNegative => Constraint.NonNegative,
        Norm => Constraint.MinMaxNorm(reader.ReadDouble(), reader.ReadDouble(), reader.ReadDouble()),
        byte kind => throw Unknown(kind, "constraint"),
    };

    internal static InvalidDataException Unknown(byte kind, string what) => new($"{kind} is no kind of {what}.");
}
