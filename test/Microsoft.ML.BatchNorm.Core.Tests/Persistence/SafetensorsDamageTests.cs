using System.Text;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

[TestClass]
public class SafetensorsDamageTests
{
    static readonly byte[] pytorch = States.SaveSafetensors(States.Random(3, StateParts.Gamma | StateParts.Beta), "b.");

    static readonly byte[] keras =
        States.SaveSafetensors(States.Random(3, StateParts.All & ~StateParts.Beta), "", TensorNaming.Keras);

    [TestMethod]
    public void A_file_cut_at_any_byte_is_an_InvalidDataException()
    {
        Damage.EveryTruncationIsInvalid(pytorch, LoadB);
        Damage.EveryTruncationIsInvalid(keras, Load);
        Damage.EveryTruncationIsInvalid(SafetensorsFile.PyTorchNetwork(), LoadBn1);
    }

    [TestMethod]
    public void Any_flipped_bit_of_a_file_of_ours_is_an_InvalidDataException()
    {
        Damage.EveryFlippedBitIsInvalid(pytorch, LoadB);
        Damage.EveryFlippedBitIsInvalid(keras, Load);
    }

    [TestMethod]
    [DataRow(TensorNaming.PyTorch, StateParts.Gamma | StateParts.Beta)]
    [DataRow(TensorNaming.Keras, StateParts.All)]
    public void Fifty_thousand_random_mutations_of_each_naming_are_refused_or_change_nothing(
        object naming, object parts)
    {
        byte[] original = States.SaveSafetensors(States.Random(37, (StateParts)parts), "", (TensorNaming)naming);
        int refused = Damage.Mutate(original, 50_000, 9, Load);
        Assert.IsTrue(refused is > 45_000 and < 50_000, $"{refused} were refused");
    }

    [TestMethod]
    public void Mutations_of_a_file_without_checksum_are_refused_or_give_a_state_of_valid_values()
    {
        byte[] original = SafetensorsFile.PyTorchNetwork();
        var random = new Random(10);
        int loaded = 0;
        for (int i = 0; i < 50_000; i++)
            loaded += LoadsAsValid(Mutation.Of(original, random)) ? 1 : 0;
        Assert.IsTrue(loaded > 1000, $"{loaded} were loaded");
    }

    [TestMethod]
    public void Mutations_of_the_header_s_tokens_are_refused_or_give_a_state_of_valid_values()
    {
        byte[] original = SafetensorsFile.PyTorchNetwork();
        int length = BitConverter.ToInt32(original);
        string header = Encoding.UTF8.GetString(original, 8, length);
        byte[] data = original[(8 + length)..];
        var random = new Random(11);
        int loaded = 0;
        for (int i = 0; i < 50_000; i++)
        {
            string changed = Damage.MutateJson(header, random);
            loaded += LoadsAsValid(SafetensorsFile.Of(changed, data)) ? 1 : 0;
        }
        Assert.IsTrue(loaded > 50, $"{loaded} were loaded");
    }

    [TestMethod]
    public void Claims_of_gigabytes_in_a_small_file_allocate_next_to_nothing()
    {
        foreach (ulong length in (ulong[])[99_999_999, 1u << 31, 1UL << 40, ulong.MaxValue])
        {
            byte[] bytes = [.. BitConverter.GetBytes(length), .. new byte[100]];
            Assert.IsNull(Damage.TryLoad(bytes, Load));
        }
        foreach (long channels in (long[])[1 << 28, int.MaxValue - 100, 1L << 40, 1L << 60])
        {
            byte[] bytes = SafetensorsFile.Of(
                "{" + SafetensorsFile.Entry("running_mean", "F64", $"{channels}", 0, channels * 8) + ","
                + SafetensorsFile.Entry("running_var", "F64", $"{channels}", channels * 8, channels * 16) + "}",
                new byte[50]);
            Assert.IsNull(Damage.TryLoad(bytes, Load));
        }
    }

    [TestMethod]
    public void A_header_of_a_hundred_thousand_tensors_allocates_in_proportion()
    {
        string others = string.Concat(Enumerable.Range(0, 100_000).Select(
            i => SafetensorsFile.Entry($"t{i}", "F32", "0", 0, 0) + ","));
        string metadata = string.Join(",", Enumerable.Range(0, 100_000).Select(i => $"\"m{i}\":\"\""));
        byte[] bytes = SafetensorsFile.Of(
            "{\"__metadata__\":{" + metadata + "}," + others
            + SafetensorsFile.Entry("running_mean", "F32", "1", 0, 4) + ","
            + SafetensorsFile.Entry("running_var", "F32", "1", 4, 8) + "}",
            SafetensorsFile.Bytes(1f, 2f));
        Assert.AreEqual(2.0, Damage.TryLoad(bytes, Load)!.MovingVariance[0]);
    }

    [TestMethod]
    public void Tensors_that_are_not_needed_are_not_kept()
    {
        const int size = 20_000_000;
        byte[] bytes = SafetensorsFile.Of(
            "{" + SafetensorsFile.Entry("conv.weight", "F32", "5000,1000", 0, size) + ","
            + SafetensorsFile.Entry("running_mean", "F32", "1", size, size + 4) + ","
            + SafetensorsFile.Entry("running_var", "F32", "1", size + 4, size + 8) + "}",
            new byte[size], SafetensorsFile.Bytes(1f, 2f));
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.AreEqual(1.0, States.LoadSafetensors(bytes).MovingMean[0]);
        Assert.IsTrue(GC.GetAllocatedBytesForCurrentThread() - before < 100_000);
    }

    static BatchNormalizationState Load(byte[] bytes) => States.LoadSafetensors(bytes);

    static BatchNormalizationState LoadB(byte[] bytes) => States.LoadSafetensors(bytes, "b.");

    static BatchNormalizationState LoadBn1(byte[] bytes) => States.LoadSafetensors(bytes, "bn1.");

    static bool LoadsAsValid(byte[] bytes)
    {
        if (Damage.TryLoad(bytes, LoadBn1) is not { } state)
            return false;
        Assert.IsTrue(state.Equals(States.Load(States.Save(state))));
        return true;
    }
}
