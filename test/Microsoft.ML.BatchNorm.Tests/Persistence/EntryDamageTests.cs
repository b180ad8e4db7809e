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
    public void Any_flipped_bit_of_a_block_is_a_decode_error()
    {
        for (int bit = 0; bit < block.Length * 8; bit++)
        {
            byte[] flipped = [.. block];
            flipped[bit / 8] ^= (byte)(1 << bit % 8);
            Assert.IsNull(TryLoad(Entry.Around(flipped, saved)), $"bit {bit % 8} of byte {bit / 8}");
        }
    }

    [TestMethod]
    public void Ten_thousand_mutations_of_the_entry_are_decode_errors_or_load_the_same_values() =>
        Mutate(entry, 10_000, seed: 1, bytes => bytes);

    [TestMethod]
    public void A_hundred_thousand_mutations_of_the_block_are_decode_errors_or_load_the_same_values() =>
        Mutate(block, 100_000, seed: 2, bytes => Entry.Around(bytes, saved));

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
    public void A_claim_of_two_thousand_million_channels_allocates_next_to_nothing()
    {
        const string claim = "2000000000";
        string definition = SafetensorsFile.Definition(block).Replace("\"", "\\\"", StringComparison.Ordinal);
        string entries = string.Join(',', ((string[])["Z/moving_mean", "Z/moving_variance"]).Select((name, i) =>
            SafetensorsFile.Entry(name, "F64", claim, 16_000_000_000 * i, 16_000_000_000 * (i + 1))));
        string header = $"{{\"__metadata__\":{{\"batchnorm.kind\":\"mlnet.batchNormalization\","
            + $"\"batchnorm.definition\":\"{definition}\"}},{entries}}}";
        Assert.IsNull(TryLoad(Entry.Around(SafetensorsFile.Of(header, new byte[50]), saved)));
    }

    [TestMethod]
    public void A_definition_that_is_wrong_is_a_decode_error()
    {
        string definition = SafetensorsFile.Definition(block);
        // The dimensions of the first column are [9, 2].
        Assert.IsNull(Defined("[9,2]", "[8,2]"));
        Assert.IsNull(Defined("[9,2]", "[9,0]"));
        Assert.IsNotNull(Defined("[9,2]", "[9,2]"));
        Assert.IsNotNull(Defined("[9,2]", "[9,3]"));
        Assert.IsNull(Defined("\"output\":\"Y\"", "\"output\":\"Result\""));
        Assert.IsNull(Defined("\"output\":\"Y\"", "\"output\":\"\""));
        Assert.IsNull(Defined("\"input\":\"Other\"", "\"input\":\"\""));
        Assert.IsNotNull(Defined("\"input\":\"Other\"", "\"input\":\"Another\""));
        Assert.IsNull(Defined("\"batchSize\":24", "\"batchSize\":0"));
        Assert.IsNull(Defined("\"batchSize\":24,", ""));
        Assert.IsNull(Defined("\"axis\":1,", "\"axis\":0,"));
        Assert.IsNull(Defined("\"axis\":1,", ""));
        int columns = definition.IndexOf("\"columns\":", StringComparison.Ordinal);
        foreach (string none in (string[])["[]", "null", "[null]"])
            Assert.IsNull(TryLoad(Entry.Around(SafetensorsFile.WithDefinition(
                block, definition[..columns] + $"\"columns\":{none}}}"), saved)));

        BatchNormalizationTransformer? Defined(string old, string with)
        {
            StringAssert.Contains(definition, old);
            return TryLoad(Entry.Around(SafetensorsFile.WithDefinition(
                block, definition.Replace(old, with, StringComparison.Ordinal)), saved));
        }
    }

    [TestMethod]
    public void A_column_s_name_with_half_a_character_is_an_error_before_anything_is_written() =>
        Assert.ThrowsExactly<InvalidOperationException>(() => Entry.Save(
            new BatchNormalizationTransformer(View.ML, Layers.Settings, [Layers.Column(2, output: "\ud83d")])));

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
