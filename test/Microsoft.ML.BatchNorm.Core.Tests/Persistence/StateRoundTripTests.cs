namespace Microsoft.ML.BatchNorm.Tests.Persistence;

[TestClass]
public class StateRoundTripTests
{
    [TestMethod]
    [DynamicData(nameof(States.AllParts), typeof(States))]
    public void A_loaded_state_equals_the_saved_one_whatever_parts_it_has(int parts)
    {
        foreach (int channels in (int[])[1, 3, 64])
        {
            BatchNormalizationState state = States.Random(channels, (StateParts)parts);
            BatchNormalizationState loaded = States.Load(States.Save(state));
            Assert.IsTrue(state.Equals(loaded));
            Assert.AreEqual(((StateParts)parts).HasFlag(StateParts.Population), loaded.GetPopulation() is not null);
            Assert.AreEqual(((StateParts)parts).HasFlag(StateParts.Renorm), loaded.Renorm is not null);
        }
    }

    [TestMethod]
    public void A_state_of_many_channels_comes_back_over_reads_of_odd_lengths()
    {
        BatchNormalizationState state = States.Random(ByteOrder.Piece + 3, StateParts.Gamma);
        byte[] bytes = States.Save(state);
        Assert.IsTrue(state.Equals(BatchNormalizationState.Load(new TrickleStream(bytes, 4099)).State));
    }

    [TestMethod]
    public void Exact_statistics_go_on_after_loading_as_if_never_saved()
    {
        BatchNormalizationState state = States.Random(5, StateParts.All);
        BatchStatistics before = state.GetPopulation()!, after = States.Load(States.Save(state)).GetPopulation()!;
        float[] more = [.. Enumerable.Range(0, 20).Select(i => i * 0.3f)];
        before.Add(ChannelLayout.Features(4, 5), more);
        after.Add(ChannelLayout.Features(4, 5), more);
        CollectionAssert.AreEqual(before.Mean.ToArray(), after.Mean.ToArray());
        CollectionAssert.AreEqual(before.M2.ToArray(), after.M2.ToArray());
        CollectionAssert.AreEqual(before.MeanRest.ToArray(), after.MeanRest.ToArray());
        CollectionAssert.AreEqual(before.M2Rest.ToArray(), after.M2Rest.ToArray());
    }

    [TestMethod]
    public void Two_states_are_equal_only_with_what_the_doubles_of_their_populations_do_not_hold()
    {
        var fresh = new BatchNormalizationState([0, 0], [1, 1]);
        BatchNormalizationState one = With([0, 1e-17], [0, 0]);
        Assert.IsTrue(one.Equals(With([0, 1e-17], [0, 0])));
        Assert.IsFalse(one.Equals(With([0, 0], [0, 0])));
        Assert.IsFalse(one.Equals(With([0, 1e-17], [1e-17, 0])));

        BatchNormalizationState With(double[] meanRest, double[] m2Rest) =>
            fresh.WithPopulation(new BatchStatistics([2, 3], [1, 2], [1, 4], meanRest, m2Rest));
    }

    [TestMethod]
    public void Signed_zeros_and_subnormal_and_extreme_values_keep_every_bit()
    {
        var state = new BatchNormalizationState(
            [-0.0, double.Epsilon, double.MaxValue, -double.MaxValue], [-0.0, 0, double.Epsilon, double.MaxValue],
            [-0.0f, float.Epsilon, float.MaxValue, float.MinValue], default, long.MaxValue);
        Assert.IsTrue(state.Equals(States.Load(States.Save(state))));
    }

    [TestMethod]
    public void States_in_a_row_in_one_stream_are_loaded_one_by_one_and_nothing_behind_them_is_read()
    {
        BatchNormalizationState[] states =
            [.. Enumerable.Range(0, 16).Select(parts => States.Random(parts + 1, (StateParts)parts, parts))];
        byte[] bytes = [.. states.SelectMany(States.Save), 1, 2, 3];
        foreach (int atMost in (int[])[1, 7, int.MaxValue])
        {
            var stream = new TrickleStream(bytes, atMost);
            foreach (BatchNormalizationState state in states)
                Assert.IsTrue(state.Equals(BatchNormalizationState.Load(stream).State));
            Assert.AreEqual(bytes.Length - 3, stream.Given);
        }
    }

    [TestMethod]
    public void Saving_leaves_the_stream_open_and_does_not_flush_it()
    {
        var stream = new FailingStream(int.MaxValue);
        BatchNormalizationState all = States.Random(3, StateParts.All), gamma = States.Random(3, StateParts.Gamma);
        all.Save(stream, States.OptionsOf(all));
        gamma.SaveSafetensors(stream, States.OptionsOf(gamma));
        Assert.IsFalse(stream.Flushed);
        Assert.IsFalse(stream.Closed);
    }

    [TestMethod]
    public void A_null_stream_is_an_ArgumentNullException()
    {
        BatchNormalizationState state = States.Random(3, StateParts.Gamma);
        BatchNormalizationOptions options = States.OptionsOf(state);
        Assert.ThrowsExactly<ArgumentNullException>(() => state.Save(null!, options));
        Assert.ThrowsExactly<ArgumentNullException>(() => state.Save(Stream.Null, null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => BatchNormalizationState.Load(null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => state.SaveSafetensors(null!, options));
        Assert.ThrowsExactly<ArgumentNullException>(() => BatchNormalizationState.LoadSafetensors(null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => state.SaveSafetensors(Stream.Null, null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => state.SaveSafetensors(Stream.Null, options, null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => BatchNormalizationState.LoadSafetensors(Stream.Null, null!));
    }

    [TestMethod]
    public void The_stream_s_own_errors_pass_through()
    {
        BatchNormalizationState state = States.Random(3, StateParts.Gamma);
        BatchNormalizationOptions options = States.OptionsOf(state);
        Assert.AreEqual("the disk is full", Message(() => state.Save(new FailingStream(40), options)));
        Assert.AreEqual("the disk is full", Message(() => state.SaveSafetensors(new FailingStream(40), options)));
        Assert.AreEqual("the cable is out", Message(() => BatchNormalizationState.Load(new FailingStream(0))));
        Assert.AreEqual(
            "the cable is out", Message(() => BatchNormalizationState.LoadSafetensors(new FailingStream(0))));

        static string Message(Action action) => Assert.ThrowsExactly<IOException>(action).Message;
    }

    [TestMethod]
    public void A_diverged_state_is_refused_before_anything_is_written()
    {
        var state = new BatchNormalizationState([1, 2], [1, 2], [1, float.NaN], [], 0, 0, null, null);
        BatchNormalizationOptions options = States.OptionsOf(state);
        var stream = new MemoryStream();
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => state.Save(stream, options)).Message,
            "gamma of channel 1");
        Assert.ThrowsExactly<InvalidOperationException>(() => state.SaveSafetensors(stream, options));
        Assert.AreEqual(0, stream.Length);
    }

    [TestMethod]
    public void The_checksum_is_CRC_32C_however_the_bytes_arrive()
    {
        byte[] digits = [.. "123456789"u8];
        for (int split = 0; split <= digits.Length; split++)
        {
            var checksum = new Crc32C();
            checksum.Append(digits.AsSpan(0, split));
            checksum.Append(digits.AsSpan(split));
            Assert.AreEqual(0xE3069283u, checksum.Value);
        }
    }

    [TestMethod]
    public void Swapping_the_byte_order_reverses_each_value()
    {
        uint[] values = [0x01020304, 0xFF000000];
        ByteOrder.Swap<uint>(values);
        CollectionAssert.AreEqual((uint[])[0x04030201, 0x000000FF], values);
    }
}
