namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>The initializer of a kernel or bias as bytes: a kind, and of a constant its value (float64).</summary>
static class KernelInitializerFormat
{
    const byte Constant = 0;

    // A kind is one more than the place here, for ever.
    static readonly KernelInitializer[] named =
    [
        KernelInitializer.GlorotUniform, KernelInitializer.GlorotNormal, KernelInitializer.HeUniform,
        KernelInitializer.HeNormal, KernelInitializer.PyTorch,
    ];

    public static void Write(BinaryWriter writer, KernelInitializer initializer)
    {
        if (initializer is KernelInitializer.Constant constant)
        {
            writer.Write(Constant);
            writer.Write(constant.Value);
            return;
        }
        int place = Array.IndexOf(named, initializer);
        if (place < 0)
            throw new NotSupportedException($"{initializer} cannot be saved.");
        writer.Write((byte)(place + 1));
    }

    public static KernelInitializer Read(BinaryReader reader)
    {
        byte kind = reader.ReadByte();
        if (kind == Constant)
            return KernelInitializer.Of(reader.ReadDouble());
        return kind <= named.Length ? named[kind - 1] : throw StateFault.Unknown(kind, "kernel initializer");
    }
}
