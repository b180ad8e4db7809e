namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>Files that version 1 wrote are kept beside the tests, and load for ever.</summary>
[TestClass]
public class StoredFileTests
{
    [TestMethod]
    public void A_binary_file_of_version_1_has_every_value()
    {
        BatchNormalizationState state = BatchNormalizationState.Load(Open("state-1.bin")).State;
        AssertCommon(state);
        AssertRenorm(state);
        Assert.AreEqual(1234567890123, state.BatchesSeen);
        Assert.AreEqual(0.0625, state.InitialWeight);
        AssertPopulation(state);
    }

    [TestMethod]
    public void A_safetensors_file_of_version_1_under_PyTorch_s_names_has_every_value()
    {
        BatchNormalizationState state =
            BatchNormalizationState.LoadSafetensors(Open("pytorch-1.safetensors"), "bn1.").State;
        AssertCommon(state);
        Assert.AreEqual(1234567890123, state.BatchesSeen);
        Assert.AreEqual(0.0, state.InitialWeight);
        Assert.IsNull(state.Renorm);
    }

    [TestMethod]
    public void A_safetensors_file_of_version_1_under_Keras_s_names_has_every_value()
    {
        BatchNormalizationState state = BatchNormalizationState.LoadSafetensors(Open("keras-1.safetensors")).State;
        AssertCommon(state);
        AssertRenorm(state);
        AssertPopulation(state);
        Assert.AreEqual(0, state.BatchesSeen);
    }

    [TestMethod]
    public void Saving_what_the_files_hold_gives_the_same_bytes()
    {
        BatchNormalizationState state = BatchNormalizationState.Load(Open("state-1.bin")).State;
        var plain = new BatchNormalizationState(
            state.MovingMean, state.MovingVariance, state.Gamma, state.Beta, state.BatchesSeen);
        CollectionAssert.AreEqual(Bytes("state-1.bin"), States.Save(state));
        CollectionAssert.AreEqual(Bytes("pytorch-1.safetensors"), States.SaveSafetensors(plain, "bn1."));
        CollectionAssert.AreEqual(
            Bytes("keras-1.safetensors"), States.SaveSafetensors(state, "", TensorNaming.Keras));
    }

    static void AssertCommon(BatchNormalizationState state)
    {
        CollectionAssert.AreEqual((double[])[0.1, -2.5, 1e300], state.MovingMean.ToArray());
        CollectionAssert.AreEqual((double[])[0, 1.0 / 3, 1e-300], state.MovingVariance.ToArray());
        CollectionAssert.AreEqual((float[])[1, -0.7f, 1e30f], state.Gamma.ToArray());
        CollectionAssert.AreEqual((float[])[0, 0.3f, -1e-30f], state.Beta.ToArray());
    }

    static void AssertRenorm(BatchNormalizationState state)
    {
        CollectionAssert.AreEqual((double[])[0.03, 1.5, 2], state.Renorm!.MovingStandardDeviation.ToArray());
        CollectionAssert.AreEqual((double[])[-0.2, 0.7, 9], state.Renorm.Mean.ToArray());
        CollectionAssert.AreEqual((double[])[0, 1.25, 7.75], state.Renorm.StandardDeviation.ToArray());
    }

    static void AssertPopulation(BatchNormalizationState state)
    {
        CollectionAssert.AreEqual((double[])[4, 0, 3], state.Population!.Count.ToArray());
        CollectionAssert.AreEqual((double[])[0.5, 0, 1e-9], state.Population.M2.ToArray());
        CollectionAssert.AreEqual((double[])[-5e-18, 0, 1e283], state.Population.MeanRest.ToArray());
        CollectionAssert.AreEqual((double[])[3e-17, 0, -1e-26], state.Population.M2Rest.ToArray());
    }

    static MemoryStream Open(string name) => new(Bytes(name));

    static byte[] Bytes(string name) =>
        File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "Persistence", "Files", name));
}
