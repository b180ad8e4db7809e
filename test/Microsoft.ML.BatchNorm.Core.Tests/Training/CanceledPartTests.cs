namespace Microsoft.ML.BatchNorm.Tests.Training;

/// <summary>
/// A run, or its engine, may look at the token in work that is not a step. What ends then leaves a checkpoint as between
/// two steps.
/// </summary>
[TestClass]
public class CanceledPartTests
{
    static readonly TrainingData data = Runs.Data(12);

    static readonly TrainingOptions options = Runs.Options with
    {
        Epochs = 3,
        ValidationSplit = 0.25,
        EarlyStopping = new EarlyStopping { Patience = 3 },
        EvaluateTrainingData = true,
        RecordStatistics = true,
        RecomputeStatistics = true,
    };

    [TestMethod]
    public void A_run_that_ends_in_any_part_goes_on_to_the_bits_of_the_unbroken_one()
    {
        var counting = new CountingEngine(onPart: _ => { });
        TrainingResult unbroken = Train(counting, default);
        Assert.IsTrue(counting.Parts > 6, $"{counting.Parts} parts");
        for (int part = 1; part <= counting.Parts; part++)
        {
            using var source = new CancellationTokenSource();
            var engine = new CountingEngine(onPart: count =>
            {
                if (count == part)
                    source.Cancel();
                source.Token.ThrowIfCancellationRequested();
            });
            var canceled = Assert.ThrowsExactly<TrainingCanceledException>(() => Train(engine, source.Token));
            TrainingResult resumed = NetworkTrainer.Resume(canceled.Checkpoint, data);
            Assert.AreEqual(unbroken.State, resumed.State, $"part {part}");
            CollectionAssert.AreEqual(unbroken.History.ToArray(), resumed.History.ToArray(), $"part {part}");
            CollectionAssert.AreEqual(
                unbroken.StatisticsHistory.ToArray(), resumed.StatisticsHistory.ToArray(), $"part {part}");
        }
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void A_run_looks_for_a_cancellation_before_every_part(bool byToken)
    {
        var counting = new CountingEngine(onPart: _ => { });
        TrainingResult unbroken = Train(counting, default);
        for (int part = 1; part < counting.Parts; part++)
        {
            using var source = new CancellationTokenSource();
            bool isAsked = false;
            var engine = new CountingEngine(onPart: count =>
            {
                if (count == part && byToken)
                    source.Cancel();
                isAsked |= count == part && !byToken;
            });
            var canceled = Assert.ThrowsExactly<TrainingCanceledException>(() => NetworkTrainer.Start(
                Runs.Network, Runs.State, data, options, null, null, engine, null, TimeProvider.System, source.Token,
                () => isAsked));
            Assert.AreEqual(part, engine.Parts);
            Assert.AreEqual(byToken ? source.Token : CancellationToken.None, canceled.CancellationToken);
            TrainingResult resumed = NetworkTrainer.Resume(canceled.Checkpoint, data);
            Assert.AreEqual(unbroken.State, resumed.State, $"part {part}");
            CollectionAssert.AreEqual(unbroken.History.ToArray(), resumed.History.ToArray(), $"part {part}");
        }
    }

    [TestMethod]
    public void A_cancellation_that_is_not_the_run_s_passes_through()
    {
        var expected = new OperationCanceledException("The device is taken back.");
        var engine = new CountingEngine(onPart: _ => throw expected);
        Assert.AreSame(expected, Assert.ThrowsExactly<OperationCanceledException>(() => Train(engine, default)));
    }

    static TrainingResult Train(ITrainingEngine engine, CancellationToken token) =>
        NetworkTrainer.Train(Runs.Network, Runs.State, data, options, engine: engine, cancellationToken: token);
}
