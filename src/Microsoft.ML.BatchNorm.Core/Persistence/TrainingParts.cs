namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>Losses and optimizers as bytes: a kind, and the numbers that the kind has.</summary>
static class TrainingParts
{
    const byte Softmax = 1, Binary = 2, Squared = 3, Absolute = 4, Huber = 5;
    const byte Sgd = 1, Adam = 2, AdamW = 3;

    public static void Write(BinaryWriter writer, Loss loss)
    {
        writer.Write(loss switch
        {
            SoftmaxCrossEntropyLoss => Softmax,
            BinaryCrossEntropyLoss => Binary,
            MeanSquaredErrorLoss => Squared,
            MeanAbsoluteErrorLoss => Absolute,
            HuberLoss => Huber,
            _ => throw new NotSupportedException($"{loss} cannot be saved."),
        });
        if (loss is HuberLoss huber)
            writer.Write(huber.Delta);
    }

    public static Loss ReadLoss(BinaryReader reader) => reader.ReadByte() switch
    {
        Softmax => Loss.SoftmaxCrossEntropy,
        Binary => Loss.BinaryCrossEntropy,
        Squared => Loss.MeanSquaredError,
        Absolute => Loss.MeanAbsoluteError,
        Huber => Loss.Huber(reader.ReadDouble()),
        byte kind => throw StateFault.Unknown(kind, "loss"),
    };

    public static void Write(BinaryWriter writer, Optimizer optimizer)
    {
        writer.Write(optimizer switch
        {
            SgdOptimizer => Sgd,
            AdamWOptimizer => AdamW,
            AdamOptimizer => Adam,
            _ => throw new NotSupportedException($"{optimizer} cannot be saved."),
        });
        writer.Write(optimizer.LearningRate);
        writer.Write(optimizer.WeightDecay);
        writer.Write((byte)optimizer.DecayedParameters);
        if (optimizer is SgdOptimizer sgd)
        {
            writer.Write(sgd.Momentum);
            writer.Write(sgd.Nesterov);
        }
        else if (optimizer is AdamOptimizer adam)
        {
            writer.Write(adam.Beta1);
            writer.Write(adam.Beta2);
            writer.Write(adam.Epsilon);
        }
    }

    // Initializers run in the order in which they are written, which is the order of the bytes.
    public static Optimizer ReadOptimizer(BinaryReader reader) => reader.ReadByte() switch
    {
        Sgd => new SgdOptimizer
        {
            LearningRate = reader.ReadDouble(),
            WeightDecay = reader.ReadDouble(),
            DecayedParameters = (DecayedParameters)reader.ReadByte(),
            Momentum = reader.ReadDouble(),
            Nesterov = reader.ReadBoolean(),
        },
        Adam => ReadAdam(reader, new AdamOptimizer()),
        AdamW => ReadAdam(reader, new AdamWOptimizer()),
        byte kind => throw StateFault.Unknown(kind, "optimizer"),
    };

    static AdamOptimizer ReadAdam(BinaryReader reader, AdamOptimizer optimizer) => optimizer with
    {
        LearningRate = reader.ReadDouble(),
        WeightDecay = reader.ReadDouble(),
        DecayedParameters = (DecayedParameters)reader.ReadByte(),
        Beta1 = reader.ReadDouble(),
        Beta2 = reader.ReadDouble(),
        Epsilon = reader.ReadDouble(),
    };
}
