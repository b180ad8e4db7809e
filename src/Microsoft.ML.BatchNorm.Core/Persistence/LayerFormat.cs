using System.Text;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// A layer's definition as bytes. Version 1: kind (byte), length of the path in bytes (uint16), the path in UTF-8,
/// trainable (byte), and what the kind has: a batch normalization's is the length (int32) and bytes of its
/// <see cref="OptionsFormat">options</see>. Sizes are height and width (int32 each), numbers float64.
/// </summary>
static class LayerFormat
{
    const byte Dense = 2, Conv2D = 3, BatchNormalization = 4, Activation = 5, Dropout = 6, Pool2D = 7,
        GlobalAveragePool2D = 8, Flatten = 9, TorchScript = 10, Add = 11, Concat = 12;

    static readonly UTF8Encoding utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public static void Write(BinaryWriter writer, NetworkNode node)
    {
        Layer layer = node.Layer;
        writer.Write(KindOf(layer));
        byte[] path = utf8.GetBytes(node.Path);
        writer.Write(checked((ushort)path.Length));
        writer.Write(path);
        writer.Write(layer.Trainable);
        switch (layer)
        {
            case DenseLayer dense:
                writer.Write(dense.Units);
                writer.Write(dense.UseBias);
                KernelInitializerFormat.Write(writer, dense.KernelInitializer);
                KernelInitializerFormat.Write(writer, dense.BiasInitializer);
                break;
            case Conv2DLayer conv:
                writer.Write(conv.Filters);
                Write(writer, conv.KernelSize);
                Write(writer, conv.Stride);
                Write(writer, conv.Padding);
                writer.Write(conv.UseBias);
                KernelInitializerFormat.Write(writer, conv.KernelInitializer);
                KernelInitializerFormat.Write(writer, conv.BiasInitializer);
                break;
            case BatchNormalizationLayer normalization:
                byte[] options = OptionsFormat.ToBytes(normalization.Options);
                writer.Write(options.Length);
                writer.Write(options);
                break;
            case ActivationLayer activation:
                writer.Write((byte)activation.Function);
                writer.Write(activation.NegativeSlope is not null);
                writer.Write(activation.NegativeSlope ?? 0);
                break;
            case DropoutLayer dropout:
                writer.Write(dropout.Rate);
                break;
            case Pool2DLayer pool:
                writer.Write((byte)pool.Function);
                Write(writer, pool.PoolSize);
                writer.Write(pool.Stride is not null);
                if (pool.Stride is { } stride)
                    Write(writer, stride);
                Write(writer, pool.Padding);
                break;
            case TorchScriptLayer script:
                TorchScriptFormat.Write(writer, script);
                break;
        }
    }

    public static (string Path, Layer Layer) Read(BinaryReader reader)
    {
        byte kind = reader.ReadByte();
        string path = utf8.GetString(ReadBytes(reader, reader.ReadUInt16()));
        bool trainable = reader.ReadBoolean();
        // Initializers run in the order in which they are written, which is the order of the bytes.
        Layer layer = kind switch
        {
            Dense => new DenseLayer(reader.ReadInt32())
            {
                UseBias = reader.ReadBoolean(),
                KernelInitializer = KernelInitializerFormat.Read(reader),
                BiasInitializer = KernelInitializerFormat.Read(reader),
            },
            Conv2D => new Conv2DLayer(reader.ReadInt32(), ReadSize(reader))
            {
                Stride = ReadSize(reader),
                Padding = ReadSize(reader),
                UseBias = reader.ReadBoolean(),
                KernelInitializer = KernelInitializerFormat.Read(reader),
                BiasInitializer = KernelInitializerFormat.Read(reader),
            },
            BatchNormalization => new BatchNormalizationLayer(ReadOptions(reader)),
            Activation => new ActivationLayer((Activation)reader.ReadByte()) { NegativeSlope = ReadSlope(reader) },
            Dropout => new DropoutLayer(reader.ReadDouble()),
            Pool2D => new Pool2DLayer((Pooling)reader.ReadByte(), ReadSize(reader))
            {
                Stride = reader.ReadBoolean() ? ReadSize(reader) : null,
                Padding = ReadSize(reader),
            },
            GlobalAveragePool2D => new GlobalAveragePool2DLayer(),
            Flatten => new FlattenLayer(),
            TorchScript => TorchScriptFormat.Read(reader),
            Add => new AddLayer(),
            Concat => new ConcatLayer(),
            _ => throw StateFault.Unknown(kind, "layer"),
        };
        return (path, layer with { Trainable = trainable });
    }

    static byte KindOf(Layer layer) => layer switch
    {
        DenseLayer => Dense,
        Conv2DLayer => Conv2D,
        BatchNormalizationLayer => BatchNormalization,
        ActivationLayer => Activation,
        DropoutLayer => Dropout,
        Pool2DLayer => Pool2D,
        GlobalAveragePool2DLayer => GlobalAveragePool2D,
        FlattenLayer => Flatten,
        TorchScriptLayer => TorchScript,
        AddLayer => Add,
        ConcatLayer => Concat,
        _ => throw new NotSupportedException($"A layer of the kind {layer.Kind} cannot be saved."),
    };

    static BatchNormalizationOptions ReadOptions(BinaryReader reader)
    {
        int length = reader.ReadInt32();
        return length is > 0 and <= OptionsFormat.MaxLength
            ? OptionsFormat.FromBytes(ReadBytes(reader, length))
            : throw new InvalidDataException($"The options of a batch normalization claim {length} bytes.");
    }

    static double? ReadSlope(BinaryReader reader)
    {
        bool isSaid = reader.ReadBoolean();
        double slope = reader.ReadDouble();
        return isSaid ? slope : null;
    }

    static byte[] ReadBytes(BinaryReader reader, int count)
    {
        byte[] bytes = reader.ReadBytes(count);
        return bytes.Length == count ? bytes : throw new EndOfStreamException("Bytes are missing at its end.");
    }

    static void Write(BinaryWriter writer, Size2D size)
    {
        writer.Write(size.Height);
        writer.Write(size.Width);
    }

    static Size2D ReadSize(BinaryReader reader) => new(reader.ReadInt32(), reader.ReadInt32());
}
