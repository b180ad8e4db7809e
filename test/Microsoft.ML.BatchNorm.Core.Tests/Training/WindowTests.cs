namespace Microsoft.ML.BatchNorm.Tests.Training;

/// <summary>The order of more rows than are mixed at a time.</summary>
[TestClass]
public class WindowTests
{
    /// <summary>Eight rows are a block, and 2,048 a window.</summary>
    const int Width = 8191, BlockRows = 8, WindowRows = 2048;

    static readonly TrainingData data = new(new MadeRows(20_005, Width));

    [TestMethod]
    public void An_epoch_has_every_row_once_in_the_order_of_its_seed_and_number()
    {
        int[] order = Order(seed: 3, epoch: 0);
        CollectionAssert.AreEqual(RowOrder.All(data.Rows), order.Order().ToArray());
        CollectionAssert.AreEqual(order, Order(seed: 3, epoch: 0));
        CollectionAssert.AreEqual(order, Order(seed: 3, epoch: 0, batch: 1000));
        CollectionAssert.AreNotEqual(order, Order(seed: 3, epoch: 1));
        CollectionAssert.AreNotEqual(order, Order(seed: 4, epoch: 0));
        CollectionAssert.AreEqual(RowOrder.All(data.Rows), Order(seed: 3, epoch: 0, shuffles: false));
    }

    [TestMethod]
    public void The_order_of_an_epoch_never_changes_from_one_runtime_to_another()
    {
        int[] order = Order(seed: 7, epoch: 3);
        CollectionAssert.AreEqual(new[] { 17509, 13336, 2714, 10988, 15399, 7945 }, order[..6]);
        CollectionAssert.AreEqual(
            new[] { 16248, 9826, 561, 4687, 5044, 13756 }, order[WindowRows..(WindowRows + 6)]);
    }

    [TestMethod]
    public void An_epoch_goes_on_at_any_place()
    {
        int[] order = Order(seed: 3, epoch: 2);
        foreach (int place in (int[])[0, 5, WindowRows - 3, WindowRows, 9_999, 20_000])
        {
            var from = new EpochOrder(new RowSet(data), true, 3, 2);
            CollectionAssert.AreEqual(order[place..(place + 5)], from[place..(place + 5)].ToArray(), $"place {place}");
        }
    }

    [TestMethod]
    public void A_window_has_few_blocks_from_all_over_and_mixes_their_rows()
    {
        int[] order = Order(seed: 3, epoch: 0);
        foreach (int[] window in order[..(4 * WindowRows)].Chunk(WindowRows))
        {
            int[] blocks = [.. window.Select(row => row / BlockRows).Distinct()];
            Assert.IsTrue(blocks.Length <= WindowRows / BlockRows + 1, $"{blocks.Length} blocks");
            Assert.AreEqual(data.Rows / 2.0, window.Average(), 0.1 * data.Rows);
            foreach (int[] batch in window.Chunk(64))
                Assert.IsTrue(batch.Select(row => row / BlockRows).Distinct().Count() > 48);
        }
    }

    [TestMethod]
    public void A_share_is_held_that_is_drawn_by_the_seed_from_everywhere()
    {
        (RowSet training, RowSet? held) = RowSet.Split(data, 0.2, seed: 3);
        Assert.AreEqual(4001, held!.Count);
        CollectionAssert.AreEqual(RowOrder.All(data.Rows), training.Concat(held).Order().ToArray());
        foreach (int[] part in held.Chunk(400).SkipLast(1))
            Assert.AreEqual(2000, part[^1] - part[0], 400);
        int[] rows = [.. held];
        CollectionAssert.AreEqual(rows, RowSet.Split(data, 0.2, seed: 3).Validation!.ToArray());
        CollectionAssert.AreNotEqual(rows, RowSet.Split(data, 0.2, seed: 4).Validation!.ToArray());
        CollectionAssert.AreEqual(training.ToArray(), Order(training, 3, 0).Order().ToArray());
    }

    [TestMethod]
    public void A_run_on_them_canceled_in_the_middle_and_resumed_takes_the_same_batches()
    {
        Network network = Network.Input(Width).Dense(1);
        NetworkState state = network.Initialize(1);
        var options = new TrainingOptions { Epochs = 2, BatchSize = 300, Loss = Loss.MeanSquaredError, Seed = 5 };
        var unbroken = new RecordingEngine();
        TrainingResult expected = NetworkTrainer.Train(network, state, data, options, engine: unbroken);
        using var source = new CancellationTokenSource();
        var engine = new RecordingEngine { BeforeStep = step => { if (step == 75) source.Cancel(); } };
        var canceled = Assert.ThrowsExactly<TrainingCanceledException>(() => NetworkTrainer.Train(
            network, state, data, options, engine: engine, cancellationToken: source.Token));
        var rest = new RecordingEngine();
        TrainingResult resumed = NetworkTrainer.Resume(canceled.Checkpoint, data, engine: rest);
        int[][] batches = [.. engine.Last.Batches, .. rest.Last.Batches];
        Assert.HasCount(unbroken.Last.Batches.Count, batches);
        for (int i = 0; i < batches.Length; i++)
            CollectionAssert.AreEqual(unbroken.Last.Batches[i], batches[i], $"step {i}");
    }

    static int[] Order(int seed, long epoch, int batch = 300, bool shuffles = true) =>
        Order(new RowSet(data), seed, epoch, batch, shuffles);

    static int[] Order(RowSet rows, int seed, long epoch, int batch = 300, bool shuffles = true)
    {
        var order = new EpochOrder(rows, shuffles, seed, epoch);
        var all = new List<int>();
        for (int first = 0; first < rows.Count; first += batch)
            all.AddRange(order[first..Math.Min(first + batch, rows.Count)]);
        return [.. all];
    }
}
