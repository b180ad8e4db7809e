using System.Text;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>A transformer's entry of a model, as the bytes that ML.NET writes: its header, the block, the strings.</summary>
static class Entry
{
    public static byte[] Save(BatchNormalizationTransformer transformer) =>
        Write(ctx => ((ICanSaveModel)transformer).Save(ctx));

    /// <summary>What the transformer itself writes into its entry.</summary>
    public static byte[] Block(byte[] entry)
    {
        ModelHeader.MarshalFromBytes(out ModelHeader header, entry[..ModelHeader.Size]);
        return entry[(int)header.FpModel..(int)(header.FpModel + header.CbModel)];
    }

    /// <summary>An entry that ML.NET finds nothing wrong with, around a block that may be damaged.</summary>
    public static byte[] Around(byte[] block, BatchNormalizationTransformer transformer) => Write(ctx =>
    {
        ((ICanSaveModel)transformer).Save(ctx);
        ctx.Writer.BaseStream.SetLength(ctx.FpMin + ctx.Header.FpModel);
        ctx.Writer.BaseStream.Position = ctx.FpMin + ctx.Header.FpModel;
        ctx.Writer.Write(block);
    });

    public static BatchNormalizationTransformer Load(byte[] entry)
    {
        using var reader = new BinaryReader(new MemoryStream(entry, writable: false), Encoding.UTF8);
        using var ctx = new ModelLoadContext(reader);
        BatchNormalizationTransformer transformer = BatchNormalizationTransformer.Create(View.ML, ctx);
        ctx.Done();
        return transformer;
    }

    /// <summary>Loads through ML.NET's catalog of loadable classes, as it loads a part of a larger model.</summary>
    public static TPart LoadByCatalog<TPart, TSignature>(byte[] entry, params object[] extra) where TPart : class
    {
        using var reader = new BinaryReader(new MemoryStream(entry, writable: false), Encoding.UTF8);
        ModelLoadContext.LoadModel<TPart, TSignature>(new MLContext(), out TPart part, reader, extra);
        return part;
    }

    static byte[] Write(Action<ModelSaveContext> save)
    {
        var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        using var ctx = new ModelSaveContext(writer);
        save(ctx);
        ctx.Done();
        writer.Flush();
        return stream.ToArray();
    }
}
