namespace Microsoft.ML.BatchNorm.Tests.Diagnosis;

/// <summary>
/// Trainings that are well are called healthy, and each fault that is made on purpose is named. The thresholds were
/// chosen with other seeds than these.
/// </summary>
[TestClass]
public class VerdictTests
{
    static readonly int[] healthySeeds = [1, 2, 3, 4, 5], faultSeeds = [.. Enumerable.Range(0, 10)];

    public static IEnumerable<string> DataSets => DataSet.Names;

    public static IEnumerable<string> Faults => Ill.Kinds.Keys;

    [TestMethod]
    [DynamicData(nameof(DataSets))]
    public void A_healthy_training_is_called_healthy_on_its_rows_and_on_held_out_ones(string data)
    {
        foreach (int seed in healthySeeds)
        {
            Patient patient = Patient.Of(data, seed);
            var known = new DiagnosisOptions { TrainingRows = patient.Train, TrainingBatchSize = patient.BatchSize };
            AssertHealthy(patient.OnTraining(), "training rows");
            AssertHealthy(patient.OnHeldOut(), "held-out rows");
            AssertHealthy(patient.OnTraining(known), "training rows, known as such");
            AssertHealthy(patient.OnHeldOut(known), "held-out rows, training rows known");

            void AssertHealthy(BatchNormalizationDiagnosis diagnosis, string on) =>
                Assert.AreEqual(NormalizationFault.None, diagnosis.Fault, $"{data} {seed}, {on}: {diagnosis}");
        }
    }

    [TestMethod]
    [DynamicData(nameof(Faults))]
    public void Each_fault_is_named(string kind)
    {
        foreach (int seed in faultSeeds)
        {
            Ill ill = Ill.Kinds[kind](seed);

            BatchNormalizationDiagnosis diagnosis = ill.Diagnose();

            Assert.AreEqual(ill.Fault, diagnosis.Fault, $"{kind} {seed}: {diagnosis}");
            LayerDiagnosis named = diagnosis.Layers.First(layer => layer.Fault == ill.Fault);
            Assert.Contains(named.Finding.Split('.')[0], diagnosis.Verdict.Contains(named.Finding, StringComparison.Ordinal)
                ? named.Finding : diagnosis.ToString());
        }
    }

    [TestMethod]
    public void Small_batches_that_are_not_said_do_not_pass_for_rows_in_order()
    {
        foreach (int seed in faultSeeds)
        {
            Patient patient = Patient.Of(
                "wine", seed, options => options with { Momentum = 0.9 },
                run => run with { BatchSize = 2, Epochs = 4, Optimizer = Optimizer.Adam(learningRate: 0.001) });
            var known = new DiagnosisOptions { TrainingRows = patient.Train };

            foreach (BatchNormalizationDiagnosis diagnosis in (BatchNormalizationDiagnosis[])
                [patient.OnTraining(), patient.OnTraining(known), patient.OnHeldOut(known)])
                Assert.AreNotEqual(NormalizationFault.RowOrder, diagnosis.Fault, $"{seed}: {diagnosis}");
        }
    }

    [TestMethod]
    public void Statistics_that_fit_the_training_rows_are_not_blamed_for_others()
    {
        foreach (int seed in faultSeeds)
        {
            // A tenth to a third of the statistics is still the initializer's, which fits standardized rows.
            Network network = Network.Input(30).BatchNormalization(new() { Momentum = 0.99 }).Dense(8).ReLU().Dense(2)
                .WithPreset(NetworkPreset.Keras);
            Patient patient = Patient.Of("breast_cancer", seed);
            TrainingResult result = NetworkTrainer.Train(
                network, network.Initialize(seed), patient.Train,
                new TrainingOptions { Epochs = 8 + seed, BatchSize = 32, Seed = seed });
            float[] moved = Array.ConvertAll(patient.HeldOut.Features.ToArray(), value => 1.4f * value + 1.5f);

            var diagnosis = BatchNormalizationDiagnosis.Of(
                result, new TrainingData(patient.HeldOut.Rows, moved, patient.HeldOut.Targets),
                new DiagnosisOptions { TrainingRows = patient.Train });

            Assert.IsGreaterThan(0.05, diagnosis.Layers[0].InitialWeight);
            Assert.AreEqual(NormalizationFault.OtherRows, diagnosis.Fault, $"{seed}: {diagnosis}");
        }
    }

    [TestMethod]
    public void Recomputing_mends_what_the_verdict_says_it_mends()
    {
        foreach (string kind in (string[])["too few steps", "slow momentum", "fast momentum", "other rows, exact statistics"])
        {
            Ill ill = Ill.Kinds[kind](3);
            NetworkState mended = NetworkTrainer.RecomputeStatistics(ill.Network, ill.State, ill.Rows.Features);

            BatchNormalizationDiagnosis diagnosis = BatchNormalizationDiagnosis.Of(
                ill.Network, mended, ill.Rows, ill.Known with { TrainingRows = null });

            Assert.IsTrue(diagnosis.IsHealthy, $"{kind}: {diagnosis}");
            Assert.AreEqual(0, diagnosis.OutputChange, 1e-6, kind);
        }
    }
}
