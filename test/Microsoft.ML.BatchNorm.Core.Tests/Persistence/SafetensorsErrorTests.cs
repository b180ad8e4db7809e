namespace Microsoft.ML.BatchNorm.Tests.Persistence;

[TestClass]
public class SafetensorsErrorTests
{
    static readonly string mean = SafetensorsFile.Entry("running_mean", "F32", "2", 0, 8);
    static readonly string variance = SafetensorsFile.Entry("running_var", "F32", "2", 8, 16);

    [TestMethod]
    public void What_is_wrong_with_the_header_is_named()
    {
        Invalid("", "does not begin with {");
        Invalid("[]", "does not begin with {");
        Invalid(" {}", "does not begin with {");
        Invalid("{", "The header is not JSON");
        Invalid("{} x", "The header is not JSON");
        Invalid("{" + mean + "," + mean + "}", "\"running_mean\" twice");
        Invalid("{" + mean + "," + SafetensorsFile.Entry("running\\u005fmean", "F32", "2", 8, 16) + "}", "twice");
        Invalid("{\"__metadata__\":{},\"__metadata__\":{}}", "__metadata__ twice");
        Invalid("{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", "\"a\" twice");
        Invalid("{\"__metadata__\":{\"a\":1}}", "\"a\" is not a string");
        Invalid("{\"__metadata__\":7}", "__metadata__ is not an object");
        Invalid("{\"\\ud800\":{}}", "not valid Unicode");
        Invalid("{\"x\":{\"dtype\":\"F\\udc00\"}}", "Tensor \"x\": a string of the header is not valid Unicode");
        Invalid("{\"x\":{\"\\udc00\":0}}", "not valid Unicode");
        Invalid("{\"__metadata__\":{\"a\\udc00\":0}}", "not valid Unicode");
        Invalid("{\"x\":" + new string('[', 1000) + new string(']', 1000) + "}", "\"x\"");
        Invalid(new string('{', 1000), "The header is not JSON");
        Invalid(string.Concat(Enumerable.Repeat("{\"shape\":", 100)), "\"shape\"");
    }

    [TestMethod]
    public void What_is_wrong_with_a_tensor_s_entry_is_named()
    {
        Invalid("{\"x\":7}", "Tensor \"x\": the entry is not an object");
        Invalid("{\"x\":{}}", "Tensor \"x\": dtype is missing");
        Invalid("{\"x\":{\"dtype\":\"F32\",\"data_offsets\":[0,0]}}", "Tensor \"x\": shape is missing");
        Invalid("{\"x\":{\"dtype\":\"F32\",\"shape\":[]}}", "Tensor \"x\": data_offsets is missing");
        Invalid("{\"x\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", "key \"dtype\" is unknown or there twice");
        Invalid("{\"x\":{\"strides\":[]}}", "key \"strides\" is unknown");
        Invalid("{\"x\":{\"dtype\":32}}", "dtype is not a string");
        Invalid("{\"x\":{\"shape\":\"2\"}}", "shape is not an array");
        Invalid("{\"x\":{\"shape\":[-1]}}", "Tensor \"x\": shape is not made of whole numbers");
        Invalid("{\"x\":{\"shape\":[1.5]}}", "shape is not made of whole numbers");
        Invalid("{\"x\":{\"shape\":[18446744073709551616]}}", "shape is not made of whole numbers");
        Invalid("{\"x\":{\"shape\":[[1]]}}", "shape is not made of whole numbers");
        Invalid("{\"x\":{\"data_offsets\":[0]}}", "data_offsets is not");
        Invalid("{\"x\":{\"data_offsets\":[0,1,2]}}", "data_offsets is not a pair");
        Invalid("{\"x\":{\"data_offsets\":[8,0]}}", "data_offsets is from 8 back to 0");
        Invalid("{" + SafetensorsFile.Entry("x", "F32", "4294967296,4294967296", 0, 0) + "}", "\"x\": shape overflows");
        Invalid("{" + SafetensorsFile.Entry("x", "F32", "4611686018427387904", 0, 0) + "}", "\"x\": shape overflows");
        Invalid(
            "{" + SafetensorsFile.Entry("x", "F32", "2,3", 0, 20) + "}", "6 elements of F32 take 24 bytes", "0 and 20");
    }

    [TestMethod]
    public void Data_that_overlaps_or_leaves_a_gap_or_is_too_short_or_too_long_is_named()
    {
        Invalid(
            "{" + mean + "," + SafetensorsFile.Entry("running_var", "F32", "2", 4, 12) + "}",
            "\"running_var\"", "overlaps");
        Invalid(
            "{" + mean + "," + SafetensorsFile.Entry("running_var", "F32", "2", 12, 20) + "}",
            "\"running_var\"", "gap");
        Invalid("{" + SafetensorsFile.Entry("x", "F32", "1", 4, 8) + "}", "\"x\"", "gap");
        Invalid("{" + mean + "," + variance + "," + SafetensorsFile.Entry("x", "U8", "9", 16, 25) + "}",
            "The file is truncated: 0 of 9 bytes of tensor \"x\" are there");
        States.IsInvalid(
            () => States.LoadSafetensors([.. SafetensorsFile.Of("{" + mean + "," + variance + "}", new byte[16]), 0]),
            "goes on after");
    }

    [TestMethod]
    public void A_layer_that_is_not_there_is_told_with_what_is_missing_and_what_is_there()
    {
        byte[] network = SafetensorsFile.PyTorchNetwork();
        States.IsInvalid(
            () => States.LoadSafetensors(network, "bn2."),
            "under \"bn2.\"", "\"bn2.running_mean\" and \"bn2.running_var\" are missing", "\"bn2.moving_mean\"",
            "It has one under \"bn1.\".");
        States.IsInvalid(
            () => States.LoadSafetensors(network, "bn10."), "PyTorch's names \"bn10.running_var\" is missing");
        byte[] none = SafetensorsFile.Of(("conv1.weight", "F32", [1], SafetensorsFile.Bytes(1f)));
        States.IsInvalid(
            () => States.LoadSafetensors(none, "bn1."), "It has none under any prefix", "tensors: \"conv1.weight\".");
        string many = string.Join(
            ",", Enumerable.Range(10, 30).Select(i => SafetensorsFile.Entry($"t{i}", "U8", "0", 0, 0)));
        Invalid("{" + many + "}", " and 20 more.");
    }

    [TestMethod]
    public void Prefixes_that_hold_a_layer_are_listed_with_the_nearest_first()
    {
        string[] prefixes =
        [
            "layer1.0.bn1.", "layer1.0.bn2.", "layer2.0.bn1.", "stem/bn/", "",
            .. Enumerable.Range(0, 9).Select(i => $"far{i}."),
        ];
        (string, string, int[], byte[])[] tensors =
        [
            .. prefixes.SelectMany(prefix => ((string[])(prefix.Contains('/')
                ? ["moving_mean:0", "moving_variance:0"]
                : ["running_mean", "running_var"])).Select(
                    name => (prefix + name, "F32", (int[])[1], SafetensorsFile.Bytes(1f)))),
            ("only.running_mean", "F32", [1], SafetensorsFile.Bytes(1f)),
        ];
        byte[] file = SafetensorsFile.Of(tensors);
        States.IsInvalid(
            () => States.LoadSafetensors(file, "layer1.0.bn3."),
            "It has 14, under these prefixes, the nearest first: \"layer1.0.bn1.\", \"layer1.0.bn2.\", "
            + "\"layer2.0.bn1.\", ",
            " and 4 more.");
        States.IsInvalid(() => States.LoadSafetensors(file, "stem/bm/"), "the nearest first: \"stem/bn/\", ");
        States.IsInvalid(() => States.LoadSafetensors(file, "x"), "the nearest first: \"\", ");
    }

    [TestMethod]
    public void Both_families_of_names_or_part_of_a_renormalization_is_refused()
    {
        string moving = SafetensorsFile.Entry("moving_mean", "F32", "2", 0, 8) + ","
            + SafetensorsFile.Entry("moving_variance", "F32", "2", 8, 16);
        Invalid(
            "{" + moving + "," + mean.Replace("[0,8]", "[16,24]") + "," + variance.Replace("[8,16]", "[24,32]") + "}",
            "both PyTorch's and Keras's");
        Invalid(
            "{" + moving + "," + SafetensorsFile.Entry("renorm_mean", "F32", "2", 16, 24) + "}",
            "missing: \"moving_stddev\" of shape [2], \"renorm_stddev\" of shape [2].");
    }

    [TestMethod]
    public void Shapes_and_dtypes_that_do_not_fit_are_named()
    {
        Invalid(
            "{" + mean + "," + SafetensorsFile.Entry("running_var", "F32", "1", 8, 12) + "}",
            "The file does not fit the layer: misshapen: \"running_var\" has shape [1] instead of [2].");
        Invalid(
            "{" + mean + "," + SafetensorsFile.Entry("running_var", "F32", "2,1", 8, 16) + "}",
            "\"running_var\" has shape [2, 1]");
        Invalid(
            "{" + mean + "," + SafetensorsFile.Entry("running_var", "I32", "2", 8, 16) + "}",
            "\"running_var\" has dtype \"I32\" instead of F64, F32, F16 or BF16");
        Invalid(
            "{" + mean + "," + variance + "," + SafetensorsFile.Entry("weight", "F32", "3", 16, 28) + "}",
            "\"weight\" has shape [3]");
        Invalid(
            "{" + mean + "," + variance + "," + SafetensorsFile.Entry("num_batches_tracked", "BOOL", "", 16, 17) + "}",
            "has dtype \"BOOL\", which is no number");
        Invalid(
            "{" + mean + "," + variance + "," + SafetensorsFile.Entry("num_batches_tracked", "I64", "2", 16, 32) + "}",
            "has shape [2] instead of []");
        Invalid(
            "{" + SafetensorsFile.Entry("running_mean", "F32", "0", 0, 0) + ","
            + SafetensorsFile.Entry("running_var", "F32", "0", 0, 0) + "}", "shape is [0]");
    }

    [TestMethod]
    public void Values_out_of_range_are_named_by_tensor_and_channel()
    {
        InvalidData([1, float.NaN, 1, 1], 0, "running_mean of channel 1 is NaN");
        InvalidData([1, 1, -1, 1], 0, "running_var of channel 0 is -1");
        InvalidData([1, 1, 1, float.PositiveInfinity], 0, "running_var of channel 1 is Infinity");
        InvalidData([1, 1, 1, 1], -5, "num_batches_tracked is -5");

        static void InvalidData(float[] values, long batches, string fragment) => States.IsInvalid(
            () => States.LoadSafetensors(SafetensorsFile.Of(
                "{" + mean + "," + variance + "," + SafetensorsFile.Entry("num_batches_tracked", "I64", "", 16, 24)
                + "}",
                SafetensorsFile.Bytes(values), SafetensorsFile.Bytes(batches))),
            fragment);
    }

    [TestMethod]
    public void A_header_that_is_longer_than_the_format_allows_is_refused_unread()
    {
        var stream = new TrickleStream([.. SafetensorsFile.Bytes(100_000_001L), .. new byte[100]], int.MaxValue);
        States.IsInvalid(() => BatchNormalizationState.LoadSafetensors(stream), "100000001 bytes", "at most 100000000");
        Assert.AreEqual(8, stream.Given);
    }

    [TestMethod]
    public void Version_and_checksum_are_there_together_or_not_at_all()
    {
        byte[] file = States.SaveSafetensors(States.Random(2, StateParts.None));
        Replaced("\"batchnorm.version\"", "\"batchnorm.verse\"", "but not both");
        Replaced("\"batchnorm.crc32c\"", "\"batchnorm.sha256\"", "but not both");
        Replaced("\"batchnorm.kind\"", "\"batchnorm.kin\"", "but not both");
        Replaced("batchnorm.version\":\"1\"", "batchnorm.version\":\"2\"", "version \"2\" of this library's format");
        Replaced("\"running_var\"", "\"walking_var\"", "\"running_var\" is missing");
        Replaced("]}}", "]} ", "not JSON");

        void Replaced(string old, string with, string fragment)
        {
            string text = System.Text.Encoding.Latin1.GetString(file);
            StringAssert.Contains(text, old);
            byte[] changed = SafetensorsFile.Of(
                SafetensorsFile.Header(file).Replace(old, with, StringComparison.Ordinal), SafetensorsFile.Data(file));
            States.IsInvalid(() => States.LoadSafetensors(changed), fragment);
        }
    }

    [TestMethod]
    public void A_changed_value_or_an_upper_case_checksum_does_not_match()
    {
        byte[] file = States.SaveSafetensors(States.Random(2, StateParts.None));
        byte[] value = [.. file];
        value[^30] ^= 1;
        States.IsInvalid(() => States.LoadSafetensors(value), "The checksum does not match");

        int digits = file.AsSpan().IndexOf("crc32c\":\""u8) + 9;
        byte[] upper = [.. file];
        for (int i = digits; i < digits + 8; i++)
            upper[i] = (byte)char.ToUpperInvariant((char)upper[i]);
        CollectionAssert.AreNotEqual(file, upper);
        States.IsInvalid(() => States.LoadSafetensors(upper), "The checksum does not match");
    }

    [TestMethod]
    public void A_population_that_fits_no_layer_of_the_file_is_named()
    {
        byte[] file = States.SaveSafetensors(States.Random(2, StateParts.Population), "bn.");
        Replaced("[[7,7],", "[[7,7,7],", "The population of \"bn.\" is not 4 numbers for each of 2 channels.");
        Replaced("[[7,7],", "[[7],", "\"bn.\" is not");
        Replaced("[[7,7],", "[", "\"bn.\" is not");
        Replaced("[[7,7],", "[null,", "\"bn.\" is not");
        Replaced("[[7,7],", "[[7,\"7\"],", "not JSON that can be read");
        Replaced("[[7,7],", "[[-2,7],", "population_count of channel 0 is -2");

        void Replaced(string old, string with, string fragment)
        {
            string definition = SafetensorsFile.Definition(file);
            old = old.Replace("7", "14", StringComparison.Ordinal);
            StringAssert.Contains(definition, old);
            byte[] changed = SafetensorsFile.WithDefinition(
                file, definition.Replace(old, with, StringComparison.Ordinal));
            States.IsInvalid(() => States.LoadSafetensors(changed, "bn."), fragment);
        }
    }

    static void Invalid(string header, params string[] fragments) =>
        States.IsInvalid(() => States.LoadSafetensors(SafetensorsFile.Of(header, new byte[16])), fragments);
}
