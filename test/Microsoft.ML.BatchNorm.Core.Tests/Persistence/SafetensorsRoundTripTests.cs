using System.Buffers.Binary;
using System.Text;
using System.Text.Json;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

[TestClass]
public class SafetensorsRoundTripTests
{
    [TestMethod]
    [DynamicData(nameof(States.AllParts), typeof(States))]
    public void All_that_Keras_s_names_cover_comes_back_bit_for_bit(int parts)
    {
        BatchNormalizationState state = States.Random(5, (StateParts)parts);
        BatchNormalizationState loaded =
            States.LoadSafetensors(States.SaveSafetensors(state, "a/b.", TensorNaming.Keras), "a/b.");
        Assert.IsTrue(Covered(state, batches: 0).Equals(loaded));
    }

    [TestMethod]
    [DynamicData(nameof(States.AllParts), typeof(States))]
    public void All_that_PyTorch_s_names_cover_comes_back_bit_for_bit(int parts)
    {
        BatchNormalizationState state = States.Random(5, (StateParts)parts & ~StateParts.Renorm);
        byte[] bytes = States.SaveSafetensors(state, "bn1.");
        BatchNormalizationState loaded =
            BatchNormalizationState.LoadSafetensors(new TrickleStream(bytes, 1), "bn1.").State;
        Assert.IsTrue(Covered(state, state.BatchesSeen).Equals(loaded));
    }

    [TestMethod]
    public void A_state_of_many_channels_comes_back()
    {
        BatchNormalizationState state = States.Random(ByteOrder.Piece + 3, StateParts.Gamma);
        byte[] bytes = States.SaveSafetensors(state);
        BatchNormalizationState loaded =
            BatchNormalizationState.LoadSafetensors(new TrickleStream(bytes, 4099)).State;
        Assert.IsTrue(Covered(state, state.BatchesSeen).Equals(loaded));
    }

    [TestMethod]
    public void PyTorch_has_no_names_for_renormalization_and_saving_says_so()
    {
        var stream = new MemoryStream();
        BatchNormalizationState state = States.Random(5, StateParts.Renorm);
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(
                () => state.SaveSafetensors(stream, States.OptionsOf(state))).Message,
            "renormalization");
        Assert.AreEqual(0, stream.Length);
    }

    [TestMethod]
    public void A_prefix_may_hold_quotes_and_any_script_but_not_half_a_character()
    {
        BatchNormalizationState state = States.Random(2, StateParts.Gamma);
        foreach (string prefix in (string[])["\"\\\n\t", "слой.", "層", "🙂/", "a<b>&'+", "__metadata__", "\u0000"])
        {
            byte[] bytes = States.SaveSafetensors(state, prefix);
            Assert.IsTrue(Covered(state, state.BatchesSeen).Equals(States.LoadSafetensors(bytes, prefix)), prefix);
        }
        Assert.ThrowsExactly<ArgumentException>(() => States.SaveSafetensors(state, "\ud83d"));
        Assert.ThrowsExactly<ArgumentException>(() => States.SaveSafetensors(state, new string('a', 1_000_001)));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => States.SaveSafetensors(state, "", (TensorNaming)2));
    }

    [TestMethod]
    public void The_file_is_laid_out_as_the_format_asks()
    {
        foreach (int prefixLength in Enumerable.Range(0, 9))
        {
            string prefix = new('p', prefixLength);
            byte[] bytes = States.SaveSafetensors(States.Random(3, StateParts.All), prefix, TensorNaming.Keras);
            int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes);
            Assert.AreEqual(0, length % 8);
            Assert.AreEqual((byte)'{', bytes[8]);

            using JsonDocument header = JsonDocument.Parse(Encoding.UTF8.GetString(bytes, 8, length).TrimEnd(' '));
            long end = 0;
            foreach (JsonProperty tensor in header.RootElement.EnumerateObject().Skip(1))
            {
                int size = tensor.Value.GetProperty("dtype").GetString() == "F64" ? 8 : 4;
                Assert.AreEqual(end, tensor.Value.GetProperty("data_offsets")[0].GetInt64());
                Assert.AreEqual(0, end % size);
                Assert.AreEqual(3, tensor.Value.GetProperty("shape")[0].GetInt32());
                end += 3 * size;
                Assert.AreEqual(end, tensor.Value.GetProperty("data_offsets")[1].GetInt64());
            }
            Assert.AreEqual(bytes.Length, 8 + length + end);
            CollectionAssert.AreEquivalent(
                (string[])[
                    "gamma", "beta", "moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev"],
                header.RootElement.EnumerateObject().Skip(1).Select(t => t.Name[prefixLength..]).ToArray());
        }
    }

    static BatchNormalizationState Covered(BatchNormalizationState state, long batches) => new(
        state.MovingMean.ToArray(), state.MovingVariance.ToArray(), state.OwnGamma, state.OwnBeta, batches,
        initialWeight: 0, state.Renorm, state.Population);
}
