using Microsoft.ML.Runtime;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// A network and its state in a model entry: <see cref="Network.Save"/>, which has checksums of its own. A model's
/// entry has ML.NET's size of a float before it (int32, 4).
/// </summary>
static class NetworkEntry
{
    /// <summary>The version of an entry that has had no other layout yet.</summary>
    public static VersionInfo FirstVersion(string modelSignature, string loaderSignature) => new(
        modelSignature,
        verWrittenCur: 0x00010001,
        verReadableCur: 0x00010001,
        verWeCanReadBack: 0x00010001,
        loaderAssemblyName: typeof(NetworkEntry).Assembly.GetName().Name,
        loaderSignature);

    public static void Write(ModelSaveContext ctx, Network network, NetworkState state)
    {
        ctx.Writer.Flush();
        network.Save(ctx.Writer.BaseStream, state);
    }

    public static SavedNetwork ReadModel(IHostEnvironment env, ModelLoadContext ctx) => Read(env, () =>
    {
        env.CheckDecode(ctx.Reader.ReadInt32() == sizeof(float), "A network's model was saved with other floats.");
        return Network.Load(ctx.Reader.BaseStream);
    });

    /// <summary>Whatever is wrong with what is read is ML.NET's decode error.</summary>
    public static T Read<T>(IHostEnvironment env, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception error) when (error is InvalidDataException or EndOfStreamException or ArgumentException)
        {
            throw env.ExceptDecode(error, $"A network cannot be read: {error.Message}");
        }
    }
}
