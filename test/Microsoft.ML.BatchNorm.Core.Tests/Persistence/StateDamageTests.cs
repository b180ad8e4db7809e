namespace Microsoft.ML.BatchNorm.Tests.Persistence;

[TestClass]
public class StateDamageTests
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
            byte[] bytes = SafetensorsFile.WithChecksum(Mutation.Of(original, random));
            if (Damage.TryLoad(bytes, States.Load) is not { } state)
                continue;
            loaded++;
            Assert.IsTrue(state.Equals(States.Load(States.Save(state))));
        }
        Assert.IsTrue(loaded > 1000, $"{loaded} were loaded");
    }

    [TestMethod]
    public void Mutations_of_the_definition_are_refused_or_give_options_that_could_have_been_saved()
    {
        byte[] original = States.Save(States.Random(3, StateParts.All));
        var random = new Random(9);
        int loaded = 0;
        for (int i = 0; i < 20_000; i++)
        {
            string definition = SafetensorsFile.Definition(original);
            byte[] bytes = SafetensorsFile.WithDefinition(
                original,
                random.Next(3) == 0 ? Damage.MutateJson(definition, random) : Damage.MutateValue(definition, random));
            if (Damage.TryLoad(bytes, Load, ofEach: 32) is not { } saved)
                continue;
            loaded++;
            var stream = new MemoryStream();
            saved.State.Save(stream, saved.Options);
            Assert.AreEqual(
                saved with { Options = saved.Options.Or(BatchNormalizationOptions.Keras) }, Load(stream.ToArray()));
        }
        Assert.IsTrue(loaded > 500, $"{loaded} were loaded");

        static SavedBatchNormalization Load(byte[] bytes) => BatchNormalizationState.Load(new MemoryStream(bytes));
    }

    [TestMethod]
    public void Claims_of_gigabytes_in_a_small_file_allocate_next_to_nothing()
    {
        string definition = SafetensorsFile.Definition(small).Replace("\"", "\\\"", StringComparison.Ordinal);
        foreach (long channels in (long[])[1 << 25, 1 << 28, 0x7FFFFFC7])
        {
            string entries = string.Join(',', ((string[])["moving_mean", "moving_variance"]).Select((name, i) =>
                SafetensorsFile.Entry(name, "F64", $"{channels}", 8 * i * channels, 8 * (i + 1) * channels)));
            byte[] bytes = SafetensorsFile.Of(
                $"{{\"__metadata__\":{{\"batchnorm.kind\":\"state\",\"batchnorm.definition\":\"{definition}\"}},"
                + $"{entries}}}", new byte[76]);
            Assert.IsNull(Damage.TryLoad(bytes, States.Load));
            States.IsInvalid(() => States.Load(bytes), "missing: \"gamma\"");
            bytes = SafetensorsFile.Of(
                $"{{\"__metadata__\":{{\"batchnorm.kind\":\"state\",\"batchnorm.definition\":"
                + $"\"{Definition(new() { Scale = false, Center = false })}\"}},{entries}}}", new byte[76]);
            Assert.IsNull(Damage.TryLoad(bytes, States.Load));
            States.IsInvalid(() => States.Load(bytes), $"76 of {8 * channels} bytes of tensor \"moving_mean\" are there");
        }
        foreach (ulong length in (ulong[])[99_999_999, 1u << 31, 1UL << 40, ulong.MaxValue])
            Assert.IsNull(Damage.TryLoad([.. BitConverter.GetBytes(length), (byte)'{', .. new byte[90]], States.Load));

        static string Definition(BatchNormalizationOptions options) => BatchNorm.Definition.ToText(options)
            .Replace("\"", "\\\"", StringComparison.Ordinal);
    }

    [TestMethod]
    public void A_truncated_state_is_told_with_how_much_is_there()
    {
        int header = BitConverter.ToInt32(small);
        States.IsInvalid(() => States.Load([]), "The file is empty, or truncated");
        States.IsInvalid(() => States.Load(small[..3]), "3 of 8 bytes of the header's length are there");
        States.IsInvalid(
            () => States.Load(small[..40]), $"The file is truncated: 32 of {header} bytes of its header are there");
        States.IsInvalid(() => States.Load(small[..^1]), "The file is truncated: 7 of 8 bytes of tensor \"beta\" are there");
    }

    [TestMethod]
    public void What_is_wrong_in_the_header_is_named()
    {
        States.IsInvalid(() => With("\"batchnorm.version\":\"1\"", "\"batchnorm.version\":\"2\""), "version \"2\"", "reads version \"1\"");
        States.IsInvalid(() => With("\"batchnorm.version\"", "\"batchnorm.vers\""), "but not both");
        States.IsInvalid(() => With("\"batchnorm.kind\"", "\"batchnorm.kin\""), "batchnorm.kind", "but not both");
        States.IsInvalid(() => With(":\"state\"", ":\"statue\""), "a file of the kind \"statue\"");
        States.IsInvalid(() => With("\"shape\":[2]", "\"shape\":[3]"), "3 elements of F64 take 24 bytes");
        States.IsInvalid(() => With("\"gamma\"", "\"gama\""), "missing: \"gamma\" of shape [2]; unexpected: \"gama\"");
        States.IsInvalid(() => With("\"moving_mean\"", "\"mean\""), "The file has no tensor \"moving_mean\".");
        States.IsInvalid(() => With("\"renorm_mean\"", "\"renorm_men\""), "missing: \"renorm_mean\"");
        States.IsInvalid(
            () => States.Load([.. small[..^1], (byte)~small[^1]]), "The checksum does not match");

        static void With(string old, string with) => States.Load(SafetensorsFile.WithChecksum(SafetensorsFile.Of(
            SafetensorsFile.Header(small).Replace(old, with, StringComparison.Ordinal), SafetensorsFile.Data(small))));
    }

    [TestMethod]
    public void Part_of_a_population_is_refused()
    {
        byte[] state = States.Save(States.Random(2, StateParts.Population));
        string header = SafetensorsFile.Header(state);
        foreach (string name in (string[])["population_count", "population_m2_rest"])
        {
            byte[] changed = SafetensorsFile.WithChecksum(SafetensorsFile.Of(
                header.Replace($"\"{name}\"", $"\"{name}s\"", StringComparison.Ordinal), SafetensorsFile.Data(state)));
            States.IsInvalid(() => States.Load(changed), $"unexpected: \"{name}s\"");
        }
        byte[] mean = SafetensorsFile.Bytes(0.0);
        States.IsInvalid(
            () => States.Load(SafetensorsFile.OfKind(
                "state", BatchNorm.Definition.ToText(
                    new BatchNormalizationOptions { Scale = false, Center = false }),
                ("moving_mean", "F64", [1], mean), ("moving_variance", "F64", [1], mean),
                ("population_count", "F64", [1], mean), ("population_m2", "F64", [1], mean))),
            "\"population_mean_rest\" and \"population_m2_rest\" are missing");
    }

    [TestMethod]
    public void A_file_that_another_program_has_changed_and_left_without_checksum_is_read_with_its_structure_checked()
    {
        var options = new BatchNormalizationOptions { Scale = false, Center = false, Epsilon = 0.5 };
        byte[] file = SafetensorsFile.OfKind(
            "state", BatchNorm.Definition.ToText(options),
            ("moving_mean", "F32", [2], SafetensorsFile.Bytes(1f, 2f)),
            ("moving_variance", "F64", [2], SafetensorsFile.Bytes(3.0, 4)));
        Assert.AreEqual(
            new SavedBatchNormalization(options, new BatchNormalizationState([1, 2], [3, 4])),
            BatchNormalizationState.Load(new MemoryStream(file)));
        States.IsInvalid(() => States.Load(SafetensorsFile.OfKind(
            "state", BatchNorm.Definition.ToText(options), ("moving_mean", "F32", [2], new byte[8]),
            ("moving_variance", "F64", [3], new byte[24]))), "has shape [3] instead of [2]");
    }

    [TestMethod]
    public void Values_out_of_range_are_named_by_field_and_channel()
    {
        Wrong("batches_seen", 0, -1L, "batches_seen is -1");
        Wrong("initial_weight", 0, 1.5, "initial_weight is 1.5");
        Wrong("initial_weight", 0, double.NaN, "initial_weight is NaN");
        Wrong("moving_mean", 1, double.NaN, "moving_mean of channel 1 is NaN");
        Wrong("moving_variance", 0, -1.0, "moving_variance of channel 0 is -1");
        Wrong("gamma", 1, float.NegativeInfinity, "gamma of channel 1 is -Infinity");
        Wrong("beta", 0, float.NaN, "beta of channel 0 is NaN");
        Wrong("moving_stddev", 0, -0.5, "moving_stddev of channel 0 is -0.5");
        Wrong("renorm_mean", 1, double.PositiveInfinity, "renorm_mean of channel 1 is Infinity");
        Wrong("renorm_stddev", 0, double.NaN, "renorm_stddev of channel 0 is NaN");
        Wrong("population_count", 1, 2.5, "population_count of channel 1 is 2.5");
        Wrong("population_count", 0, -2.0, "population_count of channel 0 is -2");
        Wrong("population_count", 0, double.PositiveInfinity, "population_count of channel 0");
        Wrong("population_m2", 1, -1e-9, "population_m2 of channel 1 is -1E-09");
        Wrong(
            "population_mean_rest", 0, 1e-3,
            "population_mean_rest of channel 0 is 0.001; it must be less than the last");
        Wrong("population_mean_rest", 1, double.NaN, "population_mean_rest of channel 1 is NaN");
        Wrong("population_m2_rest", 0, -1.0, "population_m2_rest of channel 0 is -1");
        Wrong("population_m2_rest", 1, double.NegativeInfinity, "population_m2_rest of channel 1");

        static void Wrong<T>(string tensor, int index, T value, string fragment) where T : unmanaged =>
            States.IsInvalid(() => States.Load(SafetensorsFile.With(small, tensor, index, value)), fragment);
    }
}
