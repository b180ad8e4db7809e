namespace Microsoft.ML.BatchNorm.Tests.Training;

[TestClass]
public class ProgressTests
{
    [TestMethod]
    public void Every_epochs_end_is_reported_with_all_that_was_measured()
    {
        var reports = new Reports();
        TrainingResult result = Runs.Train(
            new RecordingEngine(), Runs.Options with { EvaluateTrainingData = true }, validation: Runs.Data(2),
            progress: reports);
        TrainingProgress[] ends = [.. reports.All.Where(report => report.IsEndOfEpoch)];
        Assert.AreEqual(3, ends.Length);
        for (int i = 0; i < 3; i++)
        {
            EpochResult epoch = result.History[i];
            Assert.AreEqual((i + 1, 3, 3L, 3L), (ends[i].Epoch, ends[i].Epochs, ends[i].Step, ends[i].StepsPerEpoch));
            Assert.AreEqual(epoch.Loss, ends[i].Loss);
            Assert.AreEqual(epoch.ValidationLoss, ends[i].ValidationLoss);
            Assert.AreEqual(epoch.Metric, ends[i].Metric);
            Assert.AreEqual(epoch.ValidationMetric, ends[i].ValidationMetric);
            Assert.AreEqual(0.5, ends[i].LearningRate);
            Assert.IsNotNull(epoch.Metric);
            Assert.IsNotNull(epoch.ValidationMetric);
        }
    }

    [TestMethod]
    public void Within_an_epoch_ten_reports_a_second_are_made_at_most()
    {
        var clock = new Clock();
        var reports = new Reports();
        // Of a hundred steps, each takes 30 ms: every fourth is reported.
        var engine = new RecordingEngine { BeforeStep = _ => clock.Now += TimeSpan.FromMilliseconds(30) };
        NetworkTrainer.Start(
            Runs.Network, Runs.State, Runs.Data(400), Runs.Options with { Epochs = 1 }, null, null, engine, reports,
            clock, default);
        CollectionAssert.AreEqual(
            Enumerable.Range(1, 24).Select(i => 4L * i).Append(100).ToArray(),
            reports.All.Select(report => report.Step).ToArray());
        Assert.IsTrue(reports.All.SkipLast(1).All(report => !report.IsEndOfEpoch && report.ValidationLoss is null));
        foreach (TrainingProgress report in reports.All)
            Assert.AreEqual(4 / 0.03, report.RowsPerSecond, 1e-9);
    }

    [TestMethod]
    public void The_rate_of_short_epochs_is_that_of_a_fifth_of_a_second()
    {
        var clock = new Clock();
        var reports = new Reports();
        // Ten rows an epoch, in 10, 30, 100, 110, 300 and 50 ms.
        double[] epochs = [10, 30, 100, 110, 300, 50];
        var engine = new RecordingEngine
        {
            BeforeStep = step => clock.Now += TimeSpan.FromMilliseconds(epochs[step - 1]),
        };
        NetworkTrainer.Start(
            Runs.Network, Runs.State, Runs.Data(10), Runs.Options with { Epochs = 6, BatchSize = 10 }, null, null,
            engine, reports, clock, default);
        double[] expected = [10 / 0.01, 20 / 0.04, 30 / 0.14, 20 / 0.21, 10 / 0.3, 20 / 0.35];
        TrainingProgress[] ends = [.. reports.All.Where(report => report.IsEndOfEpoch)];
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], ends[i].RowsPerSecond, 1e-9, $"epoch {i + 1}");
    }

    [TestMethod]
    public void The_first_step_of_a_phase_does_not_count_for_the_rate()
    {
        var clock = new Clock();
        var reports = new Reports();
        // Four rows a step, in a second and then in 10 ms.
        var engine = new RecordingEngine
        {
            BeforeStep = step => clock.Now += TimeSpan.FromMilliseconds(step == 1 ? 1000 : 10),
        };
        NetworkTrainer.Start(
            Runs.Network, Runs.State, Runs.Data(40), Runs.Options with { Epochs = 2 }, null, null, engine, reports,
            clock, default);
        foreach (TrainingProgress report in reports.All)
            Assert.AreEqual(report.Step == 1 ? 4 : 400, report.RowsPerSecond, 1e-9);
    }

    [TestMethod]
    public void A_report_has_the_mean_loss_of_the_epoch_so_far()
    {
        var clock = new Clock();
        var reports = new Reports();
        var second = TimeSpan.FromSeconds(1);
        var engine = new RecordingEngine { BeforeStep = _ => clock.Now += second, Loss = step => step };
        NetworkTrainer.Start(
            Runs.Network, Runs.State, Runs.Data(10), Runs.Options, null, null, engine, reports, clock, default);
        CollectionAssert.AreEqual(
            new[] { 1, 1.5, 1.8, 4, 4.5, 4.8, 7, 7.5, 7.8 }, reports.All.Select(report => report.Loss).ToArray());
    }

    sealed class Clock : TimeProvider
    {
        public TimeSpan Now { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now.Ticks;
    }
}
