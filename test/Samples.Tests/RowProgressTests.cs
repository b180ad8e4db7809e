using Microsoft.ML.BatchNorm;

namespace Samples.Tests;

[TestClass]
public class RowProgressTests
{
    readonly Clock clock = new();

    [TestMethod]
    public void Speed_and_time_left_follow_the_rows()
    {
        var progress = new RowProgress(10_000, clock);
        Assert.AreEqual("", progress.Pace);
        Advance(progress, 2, 4000);
        Advance(progress, 1, 3000);
        Assert.AreEqual("3,000 rows/s, 1 s left", progress.Pace);
        Advance(progress, 1, 3000);
        Assert.AreEqual("3,000 rows/s, 0 s left", progress.Pace);
    }

    [TestMethod]
    public void The_first_rows_whose_code_is_compiled_do_not_count_for_the_speed()
    {
        var progress = new RowProgress(10_000, clock);
        Advance(progress, 5, 500);
        Assert.AreEqual("", progress.Pace);
        progress.Note = "loss 0.100";
        Assert.AreEqual("loss 0.100", progress.Pace);
        Advance(progress, 1, 2000);
        Assert.AreEqual("2,000 rows/s, 4 s left, loss 0.100", progress.Pace);
    }

    [TestMethod]
    public void The_time_left_is_shown_once_a_twentieth_of_the_rows_is_done()
    {
        var progress = new RowProgress(10_000, clock);
        Advance(progress, 1, 100);
        Advance(progress, 1, 399);
        Assert.AreEqual("399 rows/s", progress.Pace);
        Advance(progress, 0, 1);
        Assert.AreEqual("400 rows/s, 24 s left", progress.Pace);
    }

    [TestMethod]
    public void Where_nobody_watches_a_line_a_second_tells_share_speed_and_time_left()
    {
        var lines = new List<string>();
        var progress = new RowProgress(1000, clock);
        Show.WriteLines("training", progress, lines.Add);
        Advance(progress, 0.5, 100);
        Advance(progress, 0.5, 100);
        Advance(progress, 0.5, 100);
        progress.Note = "loss 0.100";
        Advance(progress, 0.5, 200);
        Advance(progress, 2, 500);
        CollectionAssert.AreEqual(
            new[]
            {
                "training: 20 %, 200 rows/s, 4 s left", "training: 50 %, 267 rows/s, 2 s left, loss 0.100",
            },
            lines);
    }

    [TestMethod]
    public void Training_runs_count_every_row_once_an_epoch()
    {
        Network network = Network.Input(1).Dense(1);
        var data = new TrainingData(50, new float[50], new float[50]);
        var options = new TrainingOptions { Loss = Loss.MeanSquaredError, Epochs = 3, BatchSize = 8 };
        var progress = new RowProgress(300, clock);
        for (int run = 1; run <= 2; run++)
        {
            NetworkTrainer.Train(
                network, network.Initialize(), data, options, progress: progress.Run(data.Rows, $"run {run}, "));
            Assert.AreEqual(run * 150, progress.Done);
            Assert.AreEqual($"run {run}, loss 0.000", progress.Note);
        }
    }

    void Advance(RowProgress progress, double seconds, long rows)
    {
        clock.Now += TimeSpan.FromSeconds(seconds);
        progress.Add(rows);
    }

    sealed class Clock : TimeProvider
    {
        public TimeSpan Now { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now.Ticks;
    }
}
