using System.Text;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>
/// A component's entry of a model, as the bytes that ML.NET writes: its header, the block, the strings.
/// </summary>
static class Entry
{
    public static byte[] Save(ICanSaveModel component) => Write(component.Save);

    /// <summary>What the component itself writes into its entry.</summary>
    public static byte[] Block(byte[] entry)
    {
        ModelHeader.MarshalFromBytes(out ModelHeader header, entry[..ModelHeader.Size]);
        return entry[(int)header.FpModel..(int)(header.FpModel + header.CbModel)];
    }

    /// <summary>An entry that ML.NET finds nothing wrong with, around a block that may be damaged.</summary>
    public static byte[] Around(byte[] block, ICanSaveModel component) => Write(ctx =>
    {
        component.Save(ctx);
        ctx.Writer.BaseStream.SetLength(ctx.FpMin + ctx.Header.FpModel);
        ctx.Writer.BaseStream.Position = ctx.FpMin + ctx.Header.FpModel;
        ctx.Writer.Write(block);
    });

    public static BatchNormalizationTransformer Load(byte[] entry) => Load(entry, BatchNormalizationTransformer.Create);

    public static T Load<T>(byte[] entry, Func<IHostEnvironment, ModelLoadContext, T> create)
    {
        using var reader = new BinaryReader(new MemoryStream(entry, writable: false), Encoding.UTF8);
        using var ctx = new ModelLoadContext(reader);
        T component = create(View.ML, ctx);
        ctx.Done();
        return component;
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
