using System.Buffers.Binary;
using Microsoft.ML.BatchNorm.Persistence;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

[TestClass]
public class BinaryDamageTests
{
    static readonly byte[] small = States.Save(States.Random(2, StateParts.All));

    [TestMethod]
    public void A_stream_cut_at_any_byte_is_an_InvalidDataException() =>
        Damage.EveryTruncationIsInvalid(small, States.Load);

    [TestMethod]
    public void Any_flipped_bit_is_an_InvalidDataException() =>
        Damage.EveryFlippedBitIsInvalid(small, States.Load);

    [TestMethod]
    public void A_hundred_thousand_random_mutations_are_refused_or_change_nothing()
    {
        int refused = Damage.Mutate(States.Save(States.Random(37, StateParts.All)), 100_000, 7, States.Load);
        Assert.IsTrue(refused is > 90_000 and < 100_000, $"{refused} were refused");
    }

    [TestMethod]
    public void Mutations_under_a_right_checksum_are_refused_or_give_a_state_of_valid_values()
    {
        byte[] original = States.Save(States.Random(37, StateParts.All));
        var random = new Random(8);
        int loaded = 0;
        for (int i = 0; i < 50_000; i++)
        {
            byte[] bytes = Damage.WithChecksum(Mutation.Of(original, random));
            if (Damage.TryLoad(bytes, States.Load) is not { } state)
                continue;
            loaded++;
            Assert.IsTrue(state.Equals(States.Load(States.Save(state))));
        }
        Assert.IsTrue(loaded > 1000, $"{loaded} were loaded");
    }

    [TestMethod]
    public void Claims_of_gigabytes_in_a_hundred_bytes_allocate_next_to_nothing()
    {
        foreach (int channels in (int[])[1 << 25, 1 << 28, 0x7FFFFFC7])
        {
            foreach (StateParts parts in (StateParts[])[StateParts.None, StateParts.All])
            {
                byte[] bytes = new byte[100];
                small.AsSpan(0, BinaryHeader.Length).CopyTo(bytes);
                var header = new BinaryHeader(parts, channels);
                BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(10), (ushort)parts);
                BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(12), channels);
                BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(16), header.PayloadLength);
                Assert.IsNull(Damage.TryLoad(bytes, States.Load));
                States.IsInvalid(() => States.Load(bytes), $"76 of {header.PayloadLength} bytes of its payload");
            }
        }
    }

    [TestMethod]
    public void A_truncated_state_is_told_with_how_much_is_there()
    {
        States.IsInvalid(() => States.Load([]), "The state is truncated: 0 of 24 bytes of its header are there");
        States.IsInvalid(() => States.Load(small[..40]), "The state is truncated: 16 of 176 bytes of its payload");
        States.IsInvalid(() => States.Load(small[..^1]), "The state is truncated: 3 of 4 bytes of its checksum");
    }

    [TestMethod]
    public void What_is_wrong_in_the_header_is_named()
    {
        States.IsInvalid(() => With(0, (byte)'P'), "This is not a state", "50424E5354");
        States.IsInvalid(() => With(8, (ushort)7), "Version 7 is not known; this library reads version 1");
        States.IsInvalid(() => With(10, (ushort)16), "The flags are 16");
        States.IsInvalid(() => With(12, 0u), "0 channels");
        States.IsInvalid(() => With(12, uint.MaxValue), "4294967295 channels");
        States.IsInvalid(() => With(12, 3u), "The payload length is 176; 3 channels with flags 15 have 256 bytes");
        States.IsInvalid(() => With(16, ulong.MaxValue), "The payload length is 18446744073709551615");
        States.IsInvalid(() => States.Load([.. small[..^1], (byte)~small[^1]]), "The checksum does not match");
    }

    [TestMethod]
    public void Values_out_of_range_are_named_by_field_and_channel()
    {
        // Offsets of the payload of two channels with all parts.
        const int start = BinaryHeader.Length;
        States.IsInvalid(() => With(start, -1L), "batchesSeen is -1");
        States.IsInvalid(() => With(start + 8, 1.5), "initialWeight is 1.5");
        States.IsInvalid(() => With(start + 8, double.NaN), "initialWeight is NaN");
        States.IsInvalid(() => With(start + 24, double.NaN), "movingMean of channel 1 is NaN");
        States.IsInvalid(() => With(start + 32, -1.0), "movingVariance of channel 0 is -1");
        States.IsInvalid(() => With(start + 52, float.NegativeInfinity), "gamma of channel 1 is -Infinity");
        States.IsInvalid(() => With(start + 56, float.NaN), "beta of channel 0 is NaN");
        States.IsInvalid(() => With(start + 64, -0.5), "renorm.movingStandardDeviation of channel 0 is -0.5");
        States.IsInvalid(() => With(start + 88, double.PositiveInfinity), "renorm.mean of channel 1 is Infinity");
        States.IsInvalid(() => With(start + 96, double.NaN), "renorm.standardDeviation of channel 0 is NaN");
        States.IsInvalid(() => With(start + 120, 2.5), "population.count of channel 1 is 2.5");
        States.IsInvalid(() => With(start + 112, -2.0), "population.count of channel 0 is -2");
        States.IsInvalid(() => With(start + 112, double.PositiveInfinity), "population.count of channel 0");
        States.IsInvalid(() => With(start + 136, -1e-9), "population.m2 of channel 1 is -1E-09");
        States.IsInvalid(
            () => With(start + 144, 1e-3), "population.meanRest of channel 0 is 0.001; it must be less than the last");
        States.IsInvalid(() => With(start + 152, double.NaN), "population.meanRest of channel 1 is NaN");
        States.IsInvalid(() => With(start + 160, -1.0), "population.m2Rest of channel 0 is -1");
        States.IsInvalid(() => With(start + 168, double.NegativeInfinity), "population.m2Rest of channel 1");
    }

    /// <summary>Loads the small state with one field overwritten and the checksum made right.</summary>
    static unsafe void With<T>(int at, T value) where T : unmanaged
    {
        byte[] bytes = [.. small];
        new ReadOnlySpan<byte>(&value, sizeof(T)).CopyTo(bytes.AsSpan(at));
        States.Load(Damage.WithChecksum(bytes));
    }
}
