using Microsoft.ML.BatchNorm.Tests.Networks;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Runtime;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>Damage in an entry with a network, whichever component wrote it.</summary>
[TestClass]
public class NetworkEntryDamageTests
{
    static readonly Network network = Network.Input(2, 4, 3)
        .Conv2D(3, 2, useBias: false).BatchNormalization().ReLU().Dropout(0.5).Flatten().Dense(1);

    static readonly SavedNetwork saved = Samples.Saved(network);

    static readonly Dictionary<string, Saver> components = new()
    {
        ["multiclass"] = new(
            new BatchNormNetworkMulticlassModelParameters(View.ML, saved),
            BatchNormNetworkMulticlassModelParameters.Create),
        ["binary"] = new(
            new BatchNormNetworkBinaryModelParameters(View.ML, saved), BatchNormNetworkBinaryModelParameters.Create),
        ["regression"] = new(
            new BatchNormNetworkRegressionModelParameters(View.ML, saved),
            BatchNormNetworkRegressionModelParameters.Create),
        ["layers"] = new(new ApplyNetworkTransformer(View.ML, "Y", "X", saved), ApplyNetworkTransformer.Create),
    };

    sealed record Saver(ICanSaveModel Component, Func<IHostEnvironment, ModelLoadContext, object> Create);

    public static IEnumerable<object[]> Components => components.Keys.Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(Components))]
    public void An_entry_that_is_whole_has_every_value(string name)
    {
        object? loaded = TryLoad(Entry.Save(components[name].Component), name);
        Assert.IsNotNull(loaded);
        Assert.AreEqual(saved, Saved(loaded));
    }

    [TestMethod]
    [DynamicData(nameof(Components))]
    public void An_entry_cut_at_any_byte_is_a_decode_error(string name)
    {
        byte[] entry = Entry.Save(components[name].Component);
        for (int length = 0; length < entry.Length; length++)
            Assert.IsNull(TryLoad(entry[..length], name), $"{length} bytes");
    }

    [TestMethod]
    [DynamicData(nameof(Components))]
    public void A_block_cut_at_any_byte_is_a_decode_error(string name)
    {
        ICanSaveModel component = components[name].Component;
        byte[] block = Entry.Block(Entry.Save(component));
        for (int length = 0; length < block.Length; length++)
            Assert.IsNull(TryLoad(Entry.Around(block[..length], component), name), $"{length} bytes");
    }

    [TestMethod]
    [DynamicData(nameof(Components))]
    public void Any_flipped_bit_of_a_block_is_a_decode_error(string name)
    {
        ICanSaveModel component = components[name].Component;
        byte[] block = Entry.Block(Entry.Save(component));
        for (int bit = 0; bit < block.Length * 8; bit++)
        {
            byte[] flipped = [.. block];
            flipped[bit / 8] ^= (byte)(1 << bit % 8);
            Assert.IsNull(TryLoad(Entry.Around(flipped, component), name), $"bit {bit % 8} of byte {bit / 8}");
        }
    }

    [TestMethod]
    [DynamicData(nameof(Components))]
    public void Mutations_of_the_entry_are_decode_errors_or_load_the_same_values(string name) =>
        Mutate(Entry.Save(components[name].Component), name, 10_000, seed: 1, bytes => bytes);

    [TestMethod]
    [DynamicData(nameof(Components))]
    public void Twenty_five_thousand_mutations_of_each_block_are_decode_errors_or_load_the_same_values(string name)
    {
        ICanSaveModel component = components[name].Component;
        Mutate(Entry.Block(Entry.Save(component)), name, 25_000, seed: 2, bytes => Entry.Around(bytes, component));
    }

    [TestMethod]
    public void A_model_of_other_floats_is_a_decode_error()
    {
        ICanSaveModel component = components["regression"].Component;
        byte[] block = Entry.Block(Entry.Save(component));
        block[0] = sizeof(double);
        Assert.IsNull(TryLoad(Entry.Around(block, component), "regression"));
    }

    static void Mutate(byte[] original, string name, int count, int seed, Func<byte[], byte[]> complete)
    {
        var random = new Random(seed);
        int refused = 0;
        for (int i = 0; i < count; i++)
        {
            byte[] bytes = complete(Mutation.Of(original, random));
            try
            {
                if (TryLoad(bytes, name) is not { } loaded)
                    refused++;
                else if (!saved.Equals(Saved(loaded)))
                    Assert.Fail("other values were loaded");
            }
            catch (Exception error)
            {
                throw new AssertFailedException($"mutation {i} of seed {seed}: {error.Message}", error);
            }
        }
        Assert.IsTrue(refused > count * 0.7, $"{refused} were refused");
    }

    static SavedNetwork Saved(object component) => component switch
    {
        INetworkModelParameters model => new SavedNetwork(model.Network, model.State),
        ApplyNetworkTransformer transformer => new SavedNetwork(transformer.Network, transformer.State),
        _ => throw new InvalidOperationException($"{component}"),
    };

    /// <summary>Loads within bounds of memory; null where it was refused with ML.NET's decode error.</summary>
    static object? TryLoad(byte[] bytes, string name)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        object? loaded = null;
        try
        {
            loaded = Entry.Load(bytes, components[name].Create);
        }
        catch (FormatException)
        {
        }
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.IsTrue(
            allocated < 512 * 1024 + 16L * bytes.Length, $"{bytes.Length} bytes made loading allocate {allocated}");
        return loaded;
    }
}
