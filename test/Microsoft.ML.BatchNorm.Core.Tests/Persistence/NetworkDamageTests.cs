using System.Buffers.Binary;
using Microsoft.ML.BatchNorm.Persistence;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

[TestClass]
public class NetworkDamageTests
{
    // A layer of four bytes becomes some objects, with its path in each network around it.
    const int OfEach = 256;

    static readonly byte[] every = SavedNetworks.Save(SavedNetworks.Every, SavedNetworks.State(SavedNetworks.Every));

    static readonly Network small = Network.Input(2).Dense(2, name: "a").BatchNormalization(name: "b");

    [TestMethod]
    public void A_stream_cut_at_any_byte_is_an_InvalidDataException() =>
        Damage.EveryTruncationIsInvalid(every, SavedNetworks.Load);

    [TestMethod]
    public void Any_flipped_bit_is_an_InvalidDataException() =>
        Damage.EveryFlippedBitIsInvalid(SavedNetworks.Save(small, small.Initialize()), SavedNetworks.Load);

    [TestMethod]
    public void Ten_thousand_random_mutations_are_refused_or_change_nothing()
    {
        int refused = Damage.Mutate(every, 10_000, 7, SavedNetworks.Load, OfEach);
        Assert.IsTrue(refused is > 9_000 and < 10_000, $"{refused} were refused");
    }

    [TestMethod]
    public void Mutations_under_right_checksums_are_refused_or_give_a_network_that_could_have_been_saved()
    {
        int header = NetworkHeader.Length, length = DefinitionLength(every), loaded = 0;
        var random = new Random(8);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] definition = every[header..(header + length)], state = every[(header + length + 4)..^4];
            if (random.Next(3) > 0)
                definition = Mutation.Of(definition, random);
            else
                state = Mutation.Of(state, random);
            byte[] bytes = Forged(definition, state);
            if (Damage.TryLoad(bytes, SavedNetworks.Load, OfEach) is not { } saved)
                continue;
            loaded++;
            Assert.AreEqual(saved, SavedNetworks.Load(SavedNetworks.Save(saved.Network, saved.State)));
        }
        Assert.IsTrue(loaded > 1000, $"{loaded} were loaded");
    }

    [TestMethod]
    public void Claims_of_gigabytes_in_a_hundred_bytes_allocate_next_to_nothing()
    {
        byte[] claim = [.. every.AsSpan(0, 12), .. BitConverter.GetBytes(NetworkHeader.MaxDefinition), .. new byte[80]];
        Assert.IsNull(Damage.TryLoad(claim, SavedNetworks.Load));
        Network vast = Network.Input(40_000).Dense(50_000, name: "vast").BatchNormalization();
        byte[] kernel = Forged(NetworkFormat.ToBytes(vast), new byte[16]);
        Assert.IsNull(Damage.TryLoad(kernel, SavedNetworks.Load));
        States.IsInvalid(
            () => SavedNetworks.Load(kernel), "20 of 8000000000 bytes of the kernel of layer 'vast' are there");
        byte[] layers = Definition(writer => writer.Write(int.MaxValue));
        Assert.IsNull(Damage.TryLoad(layers, SavedNetworks.Load));
        States.IsInvalid(() => SavedNetworks.Load(layers), "2147483647 layers", "at most 20000");
    }

    [TestMethod]
    public void What_is_wrong_in_the_header_is_named()
    {
        States.IsInvalid(
            () => SavedNetworks.Load([]), "The network is truncated: 0 of 16 bytes of its header are there");
        States.IsInvalid(() => SavedNetworks.Load(every[..^1]), "3 of 4 bytes of its checksum");
        With(0, (byte)'P', "This is not a network", "50424E4E57");
        With(8, 2, "Version 2 is not known; this library reads version 1");
        With(10, 2, "The flags are 2");
        With(15, 0xFF, "The network claims a definition of");
        With(20, 9, "The checksum does not match");
        States.IsInvalid(() => SavedNetworks.Load([.. every[..^1], (byte)~every[^1]]), "The checksum does not match");

        static void With(int at, byte value, params string[] fragments)
        {
            byte[] bytes = [.. every];
            bytes[at] = value;
            States.IsInvalid(() => SavedNetworks.Load(bytes), fragments);
        }
    }

    [TestMethod]
    public void What_is_wrong_in_the_definition_is_named()
    {
        byte[] first = [1, 0, 0, 0, 255, 255, 255, 255], second = [1, 0, 0, 0, 0, 0, 0, 0];
        byte[] both = [2, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0], later = [1, 0, 0, 0, 1, 0, 0, 0];
        byte[] flatten = [9, 1, 0, (byte)'a', 1], other = [9, 1, 0, (byte)'b', 1];
        Wrong("2 bytes follow the definition", 0, 7, 7);
        Wrong("99 is no kind of layer", 1, [.. first, 99, 1, 0, (byte)'a', 1]);
        Wrong("The path '' has a part without a name", 1, [.. first, 9, 0, 0, 1]);
        Wrong("The network has a layer 'a' already", 2, [.. first, .. flatten, .. second, .. flatten]);
        Wrong("The path 'a/' has a part without a name", 1, [.. first, 9, 2, 0, (byte)'a', (byte)'/', 1]);
        Wrong("The definition of the network is wrong", 1, [.. first, 9, 1, 0, 0xFF, 1]);
        Wrong("Bytes are missing", 1, [.. first, 9, 9, 0, (byte)'a']);
        Wrong("Units must be positive", 1, [.. first, 2, 1, 0, (byte)'a', 1, 0, 0, 0, 0, 1, 1, 1]);
        Wrong("Function must be one of", 1, [.. first, 5, 1, 0, (byte)'a', 1, 77, .. new byte[8]]);
        Wrong("6 is no kind of kernel initializer", 1, [.. first, 2, 1, 0, (byte)'a', 1, 1, 0, 0, 0, 1, 6, 1]);
        Wrong("it needs [channels, height, width]", 1, [.. first, 8, 1, 0, (byte)'a', 1]);
        Wrong(
            "The options of a batch normalization claim -1 bytes", 1,
            [.. first, 4, 1, 0, (byte)'a', 1, 255, 255, 255, 255]);
        Wrong("Layer 0 reads 0 values", 1, [0, 0, 0, 0]);
        Wrong("Layer 0 reads -1 values", 1, [255, 255, 255, 255]);
        Wrong("Layer 'b' must read the network's input, -1, or earlier layers, 0 to 0, not 1.", 2,
            [.. first, .. flatten, .. later, .. other]);
        Wrong("No layer reads 'a', and it is not the last one", 2, [.. first, .. flatten, .. first, .. other]);
        Wrong("Layer 'b' (Flatten) has inputs of shapes [2] and [2]; it needs one.", 2,
            [.. first, .. flatten, .. both, .. other]);

        static void Wrong(string fragment, int layers, params byte[] rest) =>
            States.IsInvalid(
                () => SavedNetworks.Load(Definition(writer =>
                {
                    writer.Write(layers);
                    writer.Write(rest);
                })),
                fragment);
    }

    [TestMethod]
    public void Values_out_of_range_are_named_by_layer()
    {
        byte[] definition = NetworkFormat.ToBytes(small);
        byte[] saved = SavedNetworks.Save(small, small.Initialize());
        byte[] state = saved[(NetworkHeader.Length + definition.Length + 4)..^4];
        With(4, float.NaN, "Layer 'a': The value kernel[1] is NaN");
        With(20, float.PositiveInfinity, "Layer 'a': The value bias[1] is Infinity");
        With(24, (ushort)16, "The flags of layer 'b' are 16; those up to 15 are known");
        With(26, -1L, "Layer 'b': The number batchesSeen is -1");
        With(42, double.NaN, "Layer 'b': The movingMean of channel 0 is NaN");

        unsafe void With<T>(int at, T value, string fragment) where T : unmanaged
        {
            byte[] bytes = [.. state];
            new ReadOnlySpan<byte>(&value, sizeof(T)).CopyTo(bytes.AsSpan(at));
            States.IsInvalid(() => SavedNetworks.Load(Forged(definition, bytes)), fragment);
        }
    }

    static int DefinitionLength(byte[] bytes) => BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(12));

    /// <summary>A network of input [2] whose layers are written by hand.</summary>
    static byte[] Definition(Action<BinaryWriter> layers)
    {
        var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write([0, 1]);
        writer.Write(2);
        layers(writer);
        writer.Flush();
        return Forged(stream.ToArray(), []);
    }

    /// <summary>A file with right lengths and checksums around any definition and state.</summary>
    static byte[] Forged(byte[] definition, byte[] state)
    {
        byte[] first = Damage.WithChecksum(
            [.. every.AsSpan(0, 12), .. BitConverter.GetBytes(definition.Length), .. definition, .. new byte[4]]);
        return Damage.WithChecksum([.. first, .. state, .. new byte[4]]);
    }
}
