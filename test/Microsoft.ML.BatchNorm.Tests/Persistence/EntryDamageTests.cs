using Microsoft.ML.BatchNorm.Persistence;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

[TestClass]
public class EntryDamageTests
{
    static readonly BatchNormalizationTransformer saved = new(
        View.ML, Layers.Settings,
        [
            Layers.Column(9, StoredOptions.Unusual, "Result").FittedTo(new FittedInput(new TensorShape(9, 2), true)),
            Layers.Column(4, StoredOptions.Bare, "Y", "Other").FittedTo(new FittedInput(new TensorShape(4), false)),
            Layers.Column(2, output: "Z"),
        ]);

    static readonly byte[] entry = Entry.Save(saved), block = Entry.Block(entry);

    [TestMethod]
    public void An_entry_cut_at_any_byte_is_a_decode_error()
    {
        for (int length = 0; length < entry.Length; length++)
            Assert.IsNull(TryLoad(entry[..length]), $"{length} bytes");
    }

    [TestMethod]
    public void A_block_cut_at_any_byte_is_a_decode_error()
    {
        for (int length = 0; length < block.Length; length++)
            Assert.IsNull(TryLoad(Entry.Around(block[..length], saved)), $"{length} bytes");
    }

    [TestMethod]
    public void Ten_thousand_mutations_of_the_entry_are_decode_errors_or_load_the_same_values() =>
        Mutate(entry, 10_000, seed: 1, bytes => bytes);

    [TestMethod]
    public void Ten_thousand_mutations_of_the_block_are_decode_errors_or_load_the_same_values() =>
        Mutate(block, 10_000, seed: 2, bytes => Entry.Around(bytes, saved));

    [TestMethod]
    public void ML_NET_s_catalog_passes_the_decode_error_on()
    {
        byte[] damaged = [.. block[..40], (byte)~block[40], .. block[41..]];
        var error = Assert.ThrowsExactly<InvalidOperationException>(
            () => Entry.LoadByCatalog<ITransformer, SignatureLoadModel>(Entry.Around(damaged, saved)));
        Assert.IsInstanceOfType<FormatException>(Decode(error));
    }

    [TestMethod]
    public void Settings_out_of_range_are_a_decode_error()
    {
        foreach (BatchNormalizationEstimator.Options wrong in (BatchNormalizationEstimator.Options[])
            [
                new() { BatchSize = 0 }, new() { Epochs = -1 },
                new() { TrainDownstreamOn = (DownstreamStatistics)2 },
            ])
        {
            Assert.IsNull(TryLoad(Entry.Save(new BatchNormalizationTransformer(View.ML, wrong, [Layers.Column(4)]))));
        }
    }

    [TestMethod]
    public void A_claim_of_two_thousand_million_columns_allocates_next_to_nothing()
    {
        byte[] claim = [.. block];
        BitConverter.TryWriteBytes(claim, int.MaxValue);
        Assert.IsNull(TryLoad(Entry.Around(claim, saved)));
        BitConverter.TryWriteBytes(claim, -1);
        Assert.IsNull(TryLoad(Entry.Around(claim, saved)));
    }

    [TestMethod]
    public void Dimensions_that_have_not_the_state_s_channels_are_a_decode_error()
    {
        byte[] damaged = [.. block];
        // The dimensions of the first column, [9, 2], stand where its mark and its rank do.
        int at = block.AsSpan().IndexOf((ReadOnlySpan<byte>)[2, 2, 9, 0, 0, 0, 2, 0, 0, 0]);
        damaged[at + 2] = 8;
        BitConverter.TryWriteBytes(damaged.AsSpan(^4..), EntryChecksum.Of(damaged.AsSpan(at..^4)));
        Assert.IsNull(TryLoad(Entry.Around(damaged, saved)));
        damaged[at + 2] = 9;
        BitConverter.TryWriteBytes(damaged.AsSpan(^4..), EntryChecksum.Of(damaged.AsSpan(at..^4)));
        Assert.IsNotNull(TryLoad(Entry.Around(damaged, saved)));
    }

    static Exception? Decode(Exception? error) =>
        error is null or FormatException ? error : Decode(error.InnerException);

    static void Mutate(byte[] original, int count, int seed, Func<byte[], byte[]> complete)
    {
        var random = new Random(seed);
        int refused = 0;
        for (int i = 0; i < count; i++)
        {
            byte[] bytes = complete(Mutation.Of(original, random));
            try
            {
                if (TryLoad(bytes) is not { } loaded)
                    refused++;
                else if (!Model.AreSame(saved, loaded))
                    Assert.Fail("other values were loaded");
            }
            catch (Exception error)
            {
                throw new AssertFailedException($"mutation {i} of seed {seed}: {error.Message}", error);
            }
        }
        Assert.IsTrue(refused > count * 0.7, $"{refused} were refused");
    }

    /// <summary>Loads within bounds of memory; null where it was refused with ML.NET's decode error.</summary>
    static BatchNormalizationTransformer? TryLoad(byte[] bytes)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        BatchNormalizationTransformer? loaded = null;
        try
        {
            loaded = Entry.Load(bytes);
        }
        catch (FormatException)
        {
        }
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.IsTrue(
            allocated < 256 * 1024 + 16L * bytes.Length, $"{bytes.Length} bytes made loading allocate {allocated}");
        return loaded;
    }
}
