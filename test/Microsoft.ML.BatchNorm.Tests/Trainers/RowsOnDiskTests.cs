using Microsoft.ML.Runtime;
using Microsoft.ML.Trainers;

namespace Microsoft.ML.BatchNorm.Tests.Trainers;

/// <summary>Rows that do not fit in memory are trained on from a temporary file.</summary>
[TestClass]
public class RowsOnDiskTests
{
    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("trainer");

    [TestCleanup]
    public void Delete()
    {
        Assert.IsEmpty(folder.GetFileSystemInfos());
        folder.Delete();
    }

    static IEnumerable<object[]> Changes =>
    [
        [(Action<BatchNormNetworkTrainerOptions>)(_ => { })],
        [(Action<BatchNormNetworkTrainerOptions>)(options => options.ExampleWeightColumnName = "Weight")],
        [(Action<BatchNormNetworkTrainerOptions>)(options =>
        {
            options.ValidationSplit = 0.2;
            options.EarlyStopping = new EarlyStopping { Patience = 1 };
        })],
        [(Action<BatchNormNetworkTrainerOptions>)(options =>
        {
            options.ValidationData = Blobs.View(new MLContext(1), 60, seed: 9);
            options.EarlyStopping = new EarlyStopping { Patience = 1 };
        })],
        [(Action<BatchNormNetworkTrainerOptions>)(options =>
        {
            options.Shuffle = false;
            options.RecomputeStatistics = false;
        })],
        [(Action<BatchNormNetworkTrainerOptions>)(options => options.FineTune = new FineTuningPlan(
            [new("slow", 2, 0.001, network => network), new("head", 2, 0.01, network => network.Freeze("dense"))]))],
    ];

    [TestMethod]
    [DynamicData(nameof(Changes))]
    public void They_train_to_the_same_bits_as_in_memory(Action<BatchNormNetworkTrainerOptions> change)
    {
        // Some features are missing.
        Blobs.Row[] rows = Blobs.Rows(300);
        rows[17].Features[1] = float.NaN;
        rows[200].Weight = 0;
        NetworkState[] expected = Fit(long.MaxValue);
        // The rows of half of the training data go to the file when they are in memory already.
        foreach (long bytes in (long[])[0, 20 * 150])
        {
            NetworkState[] actual = Fit(bytes);
            for (int i = 0; i < expected.Length; i++)
                Assert.AreEqual(expected[i], actual[i], $"trainer {i}, {bytes} bytes");
        }

        NetworkState[] Fit(long bytes)
        {
            var context = new MLContext(1) { TempFilePath = folder.FullName };
            IDataView view = Blobs.Keyed(context, rows);
            return
            [
                Blobs.Multiclass(context, options =>
                {
                    options.ClassWeights = [1, 2, 0.5];
                    Change(options);
                }).Fit(view).Model.State,
                Blobs.Binary(context, Change).Fit(view).Model.SubModel.State,
                Blobs.Regression(context, Change).Fit(view).Model.State,
            ];

            void Change(BatchNormNetworkTrainerOptions options)
            {
                options.DataBytesInMemory = bytes;
                options.Epochs = 4;
                change(options);
            }
        }
    }

    [TestMethod]
    public void Training_goes_on_from_a_model_to_the_same_bits_as_in_memory()
    {
        NetworkState[] states = Array.ConvertAll((long[])[long.MaxValue, 0], bytes =>
        {
            var context = new MLContext(1) { TempFilePath = folder.FullName };
            var trainer = Blobs.Regression(context, options => options.DataBytesInMemory = bytes);
            IDataView view = Blobs.View(context);
            return trainer.Fit(Blobs.View(context, seed: 2), trainer.Fit(view)).Model.State;
        });
        Assert.AreEqual(states[0], states[1]);
    }

    [TestMethod]
    [DataRow(2_000_000_000)]
    [DataRow(7)]
    public void A_view_s_rows_count_and_not_how_many_it_claims(long claimed)
    {
        var context = new MLContext(1);
        NetworkState expected = Trainer(context).Fit(View(null)).Model.SubModel.State;
        Assert.AreEqual(expected, Trainer(context).Fit(View(claimed)).Model.SubModel.State);

        static GeneratedView View(long? claimed) => new(
            100, 1000, Fill, counts: row => row % 2 == 0, knowsRowCount: claimed is not null, claimedRows: claimed);
    }

    [TestMethod]
    [DataRow(0L)]
    [DataRow(long.MaxValue)]
    public void A_view_is_read_once_so_that_one_that_changes_with_each_reading_is_trained_on_as_it_was(long bytes)
    {
        int reading = 0;
        var changing = new GeneratedView(
            4, 200, (row, values) => Fill(row + 1000 * reading, values), counts: row => row % 2 == 0,
            onRow: row => reading += row == 0 ? 1 : 0);
        var context = new MLContext(1) { TempFilePath = folder.FullName };
        NetworkState state = Trainer(context, bytes).Fit(changing).Model.SubModel.State;
        Assert.AreEqual((1, 1), changing.Cursors);
        var still = new GeneratedView(4, 200, (row, values) => Fill(row + 1000, values), counts: row => row % 2 == 0);
        Assert.AreEqual(Trainer(context).Fit(still).Model.SubModel.State, state);
    }

    [TestMethod]
    public void The_log_says_where_the_rows_are()
    {
        var context = new MLContext(1) { TempFilePath = folder.FullName };
        var messages = new List<string>();
        context.Log += (_, log) => messages.Add(log.Message);
        Blobs.Multiclass(context, options => options.DataBytesInMemory = 100).Fit(Blobs.View(context));
        string message = messages.Single(text => text.Contains("DataBytesInMemory", StringComparison.Ordinal));
        StringAssert.Contains(message, $"300 rows are in a temporary file of 6000 bytes in '{folder.FullName}'");
    }

    [TestMethod]
    public void A_folder_that_cannot_be_written_to_is_an_error_that_names_it()
    {
        string none = Path.Combine(folder.FullName, "none");
        var context = new MLContext(1) { TempFilePath = none };
        var error = Assert.ThrowsExactly<IOException>(() => Trainer(context, bytes: 0).Fit(
            new GeneratedView(4, 200, Fill, counts: row => row % 2 == 0)));
        Assert.IsTrue(error.IsMarked());
        StringAssert.Contains(error.Message, $"The training data does not fit in memory");
        StringAssert.Contains(error.Message, none);
        StringAssert.Contains(error.Message, "MLContext.TempFilePath");
    }

    [TestMethod]
    public void A_reading_that_is_canceled_or_fails_ends_at_once_and_leaves_nothing()
    {
        var context = new MLContext(1) { TempFilePath = folder.FullName };
        using var source = new CancellationTokenSource();
        var endless = new GeneratedView(4, null, Fill, counts: _ => true, onRow: row =>
        {
            if (row == 100_000)
                source.Cancel();
        });
        var trainer = Trainer(context, bytes: 0, options => options.CancellationToken = source.Token);
        Assert.ThrowsExactly<OperationCanceledException>(() => trainer.Fit(endless));
        Assert.AreEqual((1, 1), endless.Cursors);
        var failing = new GeneratedView(4, null, Fill, counts: _ => true, onRow: row =>
        {
            if (row == 100_000)
                throw new InvalidDataException("Row 100,000 is damaged.");
        });
        Assert.ThrowsExactly<InvalidDataException>(() => Trainer(context, bytes: 0).Fit(failing));
        Assert.AreEqual((1, 1), failing.Cursors);
    }

    [TestMethod]
    public void A_training_that_is_canceled_has_the_same_checkpoint_as_in_memory()
    {
        var checkpoints = Array.ConvertAll((long[])[long.MaxValue, 0], bytes =>
        {
            var context = new MLContext(1) { TempFilePath = folder.FullName };
            using var source = new CancellationTokenSource();
            var trainer = Blobs.Multiclass(context, options =>
            {
                options.DataBytesInMemory = bytes;
                options.Engine = CountingEngine.CancelingAfter(15, source);
                options.CancellationToken = source.Token;
            });
            return Assert.ThrowsExactly<TrainingCanceledException>(() => trainer.Fit(Blobs.View(context))).Checkpoint;
        });
        byte[][] files = Array.ConvertAll(checkpoints, checkpoint =>
        {
            using var stream = new MemoryStream();
            checkpoint.Save(stream);
            return stream.ToArray();
        });
        CollectionAssert.AreEqual(files[0], files[1]);
    }

    [TestMethod]
    public void A_training_that_diverges_leaves_nothing()
    {
        var context = new MLContext(1) { TempFilePath = folder.FullName };
        var trainer = Blobs.Regression(context, options =>
        {
            options.DataBytesInMemory = 0;
            options.Optimizer = Optimizer.Sgd(1e30);
        });
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => trainer.Fit(Blobs.View(context)));
        Assert.IsInstanceOfType<TrainingDivergedException>(error.InnerException);
    }

    static BatchNormNetworkBinaryTrainer Trainer(
        MLContext context, long? bytes = null, Action<BatchNormNetworkBinaryTrainer.Options>? change = null) =>
        Blobs.Binary(context, options =>
        {
            (options.FeatureColumnName, options.LabelColumnName) = ("X", "Counts");
            options.DataBytesInMemory = bytes;
            options.Epochs = 2;
            change?.Invoke(options);
        });

    static void Fill(long row, Span<float> values)
    {
        for (int slot = 0; slot < values.Length; slot++)
            values[slot] = (row * 7 + slot * 3) % 11 - 5;
    }
}
