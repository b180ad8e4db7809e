namespace Microsoft.ML.BatchNorm.Tests.Training;

[TestClass]
public class OrderTests
{
    [TestMethod]
    public void Each_epoch_has_every_row_once_in_an_order_of_its_own()
    {
        var engine = new RecordingEngine();
        Runs.Train(engine, Runs.Options, rows: 50);
        int[][] epochs = [.. engine.Last.Batches.Chunk(13).Select(batches => batches.SelectMany(row => row).ToArray())];
        Assert.AreEqual(3, epochs.Length);
        foreach (int[] epoch in epochs)
            CollectionAssert.AreEqual(RowOrder.All(50), epoch.Order().ToArray());
        CollectionAssert.AreNotEqual(epochs[0], epochs[1]);
        CollectionAssert.AreNotEqual(epochs[1], epochs[2]);
        CollectionAssert.AreNotEqual(RowOrder.All(50), epochs[0]);
    }

    [TestMethod]
    public void The_order_of_an_epoch_never_changes_from_one_runtime_to_another()
    {
        int[] rows = RowOrder.All(10);
        RowOrder.Shuffle(rows, seed: 7, number: 3);
        CollectionAssert.AreEqual(new[] { 1, 9, 4, 7, 5, 0, 6, 3, 8, 2 }, rows);
        rows = RowOrder.All(10);
        RowOrder.Shuffle(rows, seed: -7, number: -1);
        CollectionAssert.AreEqual(new[] { 8, 6, 5, 3, 0, 4, 1, 7, 9, 2 }, rows);
    }

    [TestMethod]
    public void All_orders_are_equally_likely()
    {
        var counts = new Dictionary<(int, int, int, int), int>();
        for (int number = 0; number < 24_000; number++)
        {
            int[] rows = RowOrder.All(4);
            RowOrder.Shuffle(rows, seed: 1, number);
            var order = (rows[0], rows[1], rows[2], rows[3]);
            counts[order] = counts.GetValueOrDefault(order) + 1;
        }
        Assert.AreEqual(24, counts.Count);
        // χ² of 23 degrees of freedom: one seed in a million exceeds 70.
        Assert.IsTrue(counts.Values.Sum(count => (count - 1000.0) * (count - 1000) / 1000) < 70);
    }

    [TestMethod]
    public void Without_shuffling_the_rows_come_as_they_are()
    {
        var engine = new RecordingEngine();
        Runs.Train(engine, Runs.Options with { Shuffle = false, Epochs = 1 });
        CollectionAssert.AreEqual(RowOrder.All(10), engine.Last.Batches.SelectMany(rows => rows).ToArray());
    }

    [TestMethod]
    [DataRow(10, 4, "4 4 2")]
    [DataRow(8, 4, "4 4")]
    [DataRow(9, 4, "4 5")]
    [DataRow(3, 4, "3")]
    [DataRow(1, 4, "1")]
    [DataRow(5, 4, "5")]
    [DataRow(3, 1, "1 1 1")]
    [DataRow(3, 2, "3")]
    public void A_smaller_last_batch_counts_and_a_single_row_goes_with_the_batch_before(
        int rows, int size, string expected)
    {
        var engine = new RecordingEngine();
        NetworkTrainer.Train(
            Runs.Network.Freeze("norm"), Runs.State, Runs.Data(rows),
            Runs.Options with { BatchSize = size, Epochs = 2 }, engine: engine);
        int steps = engine.Last.Batches.Count / 2;
        string epoch = string.Join(' ', engine.Last.Batches.Take(steps).Select(batch => batch.Length));
        Assert.AreEqual(expected, epoch);
    }

    [TestMethod]
    public void The_engine_is_told_each_batch_before_its_step()
    {
        var engine = new RecordingEngine();
        Runs.Train(engine, Runs.Options);
        Assert.AreEqual(engine.Last.Batches.Count, engine.Last.Prefetched.Count);
        for (int i = 0; i < engine.Last.Batches.Count; i++)
            CollectionAssert.AreEqual(engine.Last.Batches[i], engine.Last.Prefetched[i]);
    }

    [TestMethod]
    public void The_rows_split_off_for_validation_are_drawn_by_the_seed_and_never_trained_on()
    {
        var engine = new RecordingEngine();
        TrainingOptions options = Runs.Options with { ValidationSplit = 0.3 };
        Runs.Train(engine, options, rows: 40);
        Runs.Train(engine, options, rows: 40);
        Runs.Train(engine, options with { Seed = 1 }, rows: 40);
        int[][] trained = [.. engine.Sessions.Select(
            session => session.Batches.SelectMany(rows => rows).Distinct().Order().ToArray())];
        Assert.AreEqual(28, trained[0].Length);
        CollectionAssert.AreEqual(trained[0], trained[1]);
        CollectionAssert.AreNotEqual(trained[0], trained[2]);
    }

    [TestMethod]
    [DataRow(2, 0.01, 1)]
    [DataRow(2, 0.99, 1)]
    [DataRow(100, 0.25, 25)]
    public void A_split_leaves_at_least_one_row_on_both_sides(int rows, double share, int validation)
    {
        (RowSet training, RowSet? held) = RowSet.Split(Runs.Data(rows), share, seed: 3);
        Assert.AreEqual(validation, held!.Count);
        CollectionAssert.AreEqual(RowOrder.All(rows), training.Concat(held).Order().ToArray());
    }

    [TestMethod]
    public void The_learning_rate_follows_its_schedule_step_by_step()
    {
        var engine = new RecordingEngine();
        LearningRateSchedule schedule = LearningRateSchedule.Cosine(0.1).WithWarmUp(1);
        TrainingResult result = Runs.Train(engine, Runs.Options with { LearningRateSchedule = schedule });
        double[] expected = [.. Enumerable.Range(0, 9).Select(i => 0.5 * schedule.Factor(i, 3, 3))];
        CollectionAssert.AreEqual(expected, engine.Last.Rates);
        CollectionAssert.AreEqual(
            new[] { expected[2], expected[5], expected[8] },
            result.History.Select(epoch => epoch.LearningRate).ToArray());
    }
}
