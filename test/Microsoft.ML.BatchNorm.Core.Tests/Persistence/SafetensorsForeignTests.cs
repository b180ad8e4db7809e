namespace Microsoft.ML.BatchNorm.Tests.Persistence;

[TestClass]
public class SafetensorsForeignTests
{
    [TestMethod]
    public void A_layer_is_found_in_a_network_that_PyTorch_wrote()
    {
        BatchNormalizationState state = States.LoadSafetensors(SafetensorsFile.PyTorchNetwork(), "bn1.");
        var expected = new BatchNormalizationState(
            [1, 2, -3], [4, 0, 0.1f], [1.5f, 1, -2], [0.5f, -0.25f, 0], batchesSeen: 1234);
        Assert.IsTrue(expected.Equals(state));
    }

    [TestMethod]
    public void A_population_counts_only_in_a_file_whose_checksum_says_that_nothing_has_changed_since()
    {
        byte[] file = SafetensorsFile.OfKind(
            "weights", "{\"options\":{},\"slopes\":{},\"populations\":{\"\":[[1],[2],[3],[4],[5]]}}",
            ("running_mean", "F32", [1], SafetensorsFile.Bytes(5f)),
            ("running_var", "F32", [1], SafetensorsFile.Bytes(6f)));
        Assert.IsTrue(new BatchNormalizationState([5], [6]).Equals(States.LoadSafetensors(file)));
    }

    [TestMethod]
    public void A_layer_under_Keras_s_names_is_found_with_its_renormalization()
    {
        string[] names =
        [
            "bn/gamma", "bn/beta", "bn/moving_mean", "bn/moving_variance", "bn/moving_stddev", "bn/renorm_mean",
            "bn/renorm_stddev",
        ];
        byte[] bytes = SafetensorsFile.Of(
            "{" + string.Join(",", names.Select((n, i) => SafetensorsFile.Entry(n, "F32", "2", 8 * i, 8 * i + 8)))
            + "}",
            [.. Enumerable.Range(0, 7).Select(i => SafetensorsFile.Bytes(i + 1f, i + 1.5f))]);
        var expected = new BatchNormalizationState(
            [3, 3.5], [4, 4.5], [1, 1.5f], [2, 2.5f], 0, new RenormStatistics([5, 5.5], [6, 6.5], [7, 7.5]));
        Assert.IsTrue(expected.Equals(States.LoadSafetensors(bytes, "bn/")));
    }

    [TestMethod]
    public void Gamma_beta_and_the_number_of_batches_may_be_missing()
    {
        BatchNormalizationState state = States.LoadSafetensors(SafetensorsFile.Of(
            "{" + SafetensorsFile.Entry("running_var", "F32", "1", 0, 4) + ","
            + SafetensorsFile.Entry("running_mean", "F32", "1", 4, 8) + "}  \n\t",
            SafetensorsFile.Bytes(5f, 6f)));
        Assert.IsTrue(new BatchNormalizationState([6], [5]).Equals(state));
    }

    [TestMethod]
    public void Half_and_bfloat16_and_double_tensors_are_read_exactly()
    {
        Half[] half = [(Half)1.5, Half.Epsilon, (Half)(-2.25)];
        ushort[] bfloat = [0x3FC0, 0x0001, 0x7F7F];
        byte[] bytes = SafetensorsFile.Of(
            "{" + SafetensorsFile.Entry("running_mean", "F16", "3", 0, 6) + ","
            + SafetensorsFile.Entry("running_var", "BF16", "3", 6, 12) + ","
            + SafetensorsFile.Entry("weight", "F64", "3", 12, 36) + ","
            + SafetensorsFile.Entry("num_batches_tracked", "I32", "1", 36, 40) + "}",
            SafetensorsFile.Bytes(half), SafetensorsFile.Bytes(bfloat), SafetensorsFile.Bytes(0.1, 2, 3),
            SafetensorsFile.Bytes(77));
        BatchNormalizationState state = States.LoadSafetensors(bytes);
        CollectionAssert.AreEqual((double[])[1.5, Math.Pow(2, -24), -2.25], state.MovingMean.ToArray());
        CollectionAssert.AreEqual(
            (double[])[1.5, Math.Pow(2, -133), (2 - Math.Pow(2, -7)) * Math.Pow(2, 127)],
            state.MovingVariance.ToArray());
        CollectionAssert.AreEqual((float[])[0.1f, 2, 3], state.Gamma.ToArray());
        Assert.AreEqual(77, state.BatchesSeen);
    }

    [TestMethod]
    public void A_layer_under_Keras_2_s_names_is_found()
    {
        string[] names = ["bn/gamma:0", "bn/beta:0", "bn/moving_mean:0", "bn/moving_variance:0"];
        byte[] bytes = SafetensorsFile.Of(
            [.. names.Select((name, i) => (name, "F32", (int[])[2], SafetensorsFile.Bytes(i + 1f, i + 1.5f)))]);
        var expected = new BatchNormalizationState([3, 3.5], [4, 4.5], [1, 1.5f], [2, 2.5f]);
        Assert.IsTrue(expected.Equals(States.LoadSafetensors(bytes, "bn/")));
    }

    [TestMethod]
    public void Keras_2_s_name_gives_way_where_the_name_without_a_number_is_there_too()
    {
        byte[] bytes = SafetensorsFile.Of(
            ("moving_mean", "F32", [1], SafetensorsFile.Bytes(1f)),
            ("moving_mean:0", "F32", [1], SafetensorsFile.Bytes(7f)),
            ("moving_variance", "F32", [1], SafetensorsFile.Bytes(2f)));
        Assert.AreEqual(1.0, States.LoadSafetensors(bytes).MovingMean[0]);
    }

    [TestMethod]
    [DataRow("F64"), DataRow("F32"), DataRow("F16"), DataRow("BF16"), DataRow("I64"), DataRow("I32"), DataRow("I16")]
    [DataRow("I8"), DataRow("U64"), DataRow("U32"), DataRow("U16"), DataRow("U8")]
    public void The_number_of_batches_is_read_from_any_type_of_number(string dtype) =>
        Assert.AreEqual(100, States.LoadSafetensors(Counted(dtype, 100)).BatchesSeen);

    [TestMethod]
    [DataRow("F64", 2.5), DataRow("F32", 0.5), DataRow("F16", 1.5), DataRow("F32", double.NaN)]
    [DataRow("F64", double.PositiveInfinity), DataRow("F64", 1e19), DataRow("U64", 1e19)]
    public void A_number_of_batches_that_is_no_whole_number_is_refused(string dtype, double value) => States.IsInvalid(
        () => States.LoadSafetensors(Counted(dtype, value)), "num_batches_tracked", "must be a whole number from 0");

    static byte[] Counted(string dtype, double value) => SafetensorsFile.Of(
        ("running_mean", "F32", [1], SafetensorsFile.Bytes(1f)),
        ("running_var", "F32", [1], SafetensorsFile.Bytes(1f)),
        ("num_batches_tracked", dtype, [], dtype switch
        {
            "F64" => SafetensorsFile.Bytes(value),
            "F32" => SafetensorsFile.Bytes((float)value),
            "F16" => SafetensorsFile.Bytes((Half)value),
            "BF16" => SafetensorsFile.Bytes((ushort)(BitConverter.SingleToUInt32Bits((float)value) >> 16)),
            "I64" => SafetensorsFile.Bytes((long)value),
            "I32" => SafetensorsFile.Bytes((int)value),
            "I16" => SafetensorsFile.Bytes((short)value),
            "I8" => SafetensorsFile.Bytes((sbyte)value),
            "U64" => SafetensorsFile.Bytes((ulong)value),
            "U32" => SafetensorsFile.Bytes((uint)value),
            "U16" => SafetensorsFile.Bytes((ushort)value),
            _ => SafetensorsFile.Bytes((byte)value),
        }));

    [TestMethod]
    public void A_dtype_that_is_not_known_only_matters_in_a_tensor_that_is_needed()
    {
        byte[] With(string other, string needed) => SafetensorsFile.Of(
            "{" + SafetensorsFile.Entry("x", other, "9,9", 0, 3) + ","
            + SafetensorsFile.Entry("running_mean", needed, "1", 3, 7) + ","
            + SafetensorsFile.Entry("running_var", "F32", "1", 7, 11) + "}",
            new byte[3], SafetensorsFile.Bytes(1f, 2f));
        Assert.AreEqual(1.0, States.LoadSafetensors(With("F2_NEW", "F32")).MovingMean[0]);
        States.IsInvalid(() => States.LoadSafetensors(With("F2_NEW", "F3_NEW")), "running_mean", "F3_NEW");
        States.IsInvalid(() => States.LoadSafetensors(With("F2_NEW", "I32")), "running_mean", "I32");
    }

    [TestMethod]
    public void Names_escaped_in_JSON_are_the_same_names()
    {
        BatchNormalizationState state = States.LoadSafetensors(SafetensorsFile.Of(
            "{" + SafetensorsFile.Entry("running\\u005fvar", "F32", "1", 0, 4) + ","
            + SafetensorsFile.Entry("running_mean", "F32", "1", 4, 8) + "}",
            SafetensorsFile.Bytes(5f, 6f)));
        Assert.AreEqual(5.0, state.MovingVariance[0]);
    }
}
