using System.Reflection;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Trainers;

/// <summary>Where a network is trained, what is told of it, and what ends it.</summary>
[TestClass]
public class TrainingRunTests
{
    [TestMethod]
    public void The_engine_that_is_handed_in_trains()
    {
        var context = new MLContext(1);
        var engine = new CountingEngine();
        IDataView view = Blobs.View(context);
        var handed = Blobs.Multiclass(context, options =>
            (options.Engine, options.Epochs, options.BatchSize) = (engine, 3, 100)).Fit(view);
        Assert.AreEqual(9, engine.Steps);
        var own = Blobs.Multiclass(context, options => (options.Epochs, options.BatchSize) = (3, 100)).Fit(view);
        Assert.AreEqual(own.Model.State, handed.Model.State);
    }

    [TestMethod]
    public void The_number_of_threads_is_the_option_or_left_to_the_engine()
    {
        IHost host = ((IHostEnvironment)new MLContext(1)).Register("Test");
        using IChannel channel = host.Start("Test");
        Assert.AreEqual(3, Threads(3));
        Assert.IsNull(Threads(null));

        int? Threads(int? number)
        {
            var options = new BatchNormNetworkMulticlassTrainer.Options { NumberOfThreads = number };
            return ((CpuEngine)EngineChoice.Of(host, channel, options.Engine, options.NumberOfThreads)).Threads;
        }
    }

    [TestMethod]
    public void A_GPU_that_cannot_be_had_is_an_error()
    {
        var context = new MLContext(1) { GpuDeviceId = 0, FallbackToCpu = false };
        var error = Assert.ThrowsExactly<InvalidOperationException>(
            () => Blobs.Multiclass(context).Fit(Blobs.View(context)));
        StringAssert.Contains(error.Message, "GPU 0 was asked for");
    }

    [TestMethod]
    public void A_GPU_that_cannot_be_had_is_a_warning_where_the_CPU_may_take_its_place()
    {
        var context = new MLContext(1) { GpuDeviceId = 1, FallbackToCpu = true };
        List<string> warnings = Warnings.Of(context);
        Blobs.Multiclass(context, options => options.Epochs = 1).Fit(Blobs.View(context));
        StringAssert.Contains(warnings.Single(), "GPU 1 was asked for");
        StringAssert.Contains(warnings.Single(), "The network is trained on the CPU");
    }

    [TestMethod]
    public void Each_epoch_is_told()
    {
        var context = new MLContext(1);
        List<string> messages = Messages.Of(context);
        Blobs.Multiclass(context, options => options.Epochs = 3).Fit(Blobs.View(context));
        string[] epochs = [.. messages.Where(message => message.StartsWith("Epoch ", StringComparison.Ordinal))];
        Assert.HasCount(3, epochs);
        for (int epoch = 1; epoch <= 3; epoch++)
            StringAssert.Matches(epochs[epoch - 1], new($"^Epoch {epoch} of 3: loss [0-9.]+, [0-9]+ rows/s\\.$"));
    }

    [TestMethod]
    public void Moving_statistics_that_are_still_their_initial_value_are_warned_of()
    {
        var context = new MLContext(1);
        List<string> warnings = Warnings.Of(context);
        IDataView view = Blobs.View(context);
        void Fit(bool recompute) => Blobs.Multiclass(context, options =>
            (options.RecomputeStatistics, options.Epochs, options.BatchSize) = (recompute, 1, 30)).Fit(view);
        Fit(recompute: true);
        Assert.IsEmpty(warnings);
        Fit(recompute: false);
        Assert.HasCount(2, warnings);
        StringAssert.StartsWith(warnings[0], "Layer 'batch_normalization': 90 % of its moving statistics");
        Assert.IsTrue(new ML.Trainers.BatchNormNetworkMulticlassTrainer.Options().RecomputeStatistics);
    }

    [TestMethod]
    public void The_phases_of_a_plan_are_told()
    {
        var context = new MLContext(1);
        var known = Blobs.Multiclass(context, options => options.Epochs = 1).Fit(Blobs.View(context));
        List<string> messages = Messages.Of(context);
        Blobs.Multiclass(context, options => options.FineTune = FineTune.HeadThenAll(1, 2, 0.01, 0.001))
            .Fit(Blobs.View(context), known);
        Assert.AreEqual(1, messages.Count(message => message.Contains("of phase 'head'", StringComparison.Ordinal)));
        Assert.AreEqual(2, messages.Count(message => message.Contains("of phase 'all'", StringComparison.Ordinal)));
    }

    [TestMethod]
    public void Progress_has_epochs_steps_and_losses()
    {
        var context = new MLContext(1);
        ProgressReporting.ProgressEntry[] told = [];
        // ML.NET tells of a channel only that it started when it is asked first.
        var engine = new CountingEngine(step =>
        {
            if (step is 1 or 10 or 17)
                told = Progress(context);
        });
        Blobs.Multiclass(context, options =>
        {
            (options.Engine, options.Epochs, options.BatchSize) = (engine, 2, 30);
            options.ValidationSplit = 0.1;
        }).Fit(Blobs.View(context));
        ProgressReporting.ProgressEntry last = told.Last(entry => entry.Header.MetricNames.Count == 3);
        CollectionAssert.AreEqual(
            new[] { "loss", "validation loss", "rows/s" }, last.Header.MetricNames.ToArray());
        CollectionAssert.AreEqual(new[] { "epochs", "steps" }, last.Header.UnitNames.ToArray());
        Assert.IsTrue(last.Metrics[0] > 0);
        Assert.AreEqual(2, last.ProgressLim[0]);
        Assert.AreEqual(9, last.ProgressLim[1]);
    }

    [TestMethod]
    public void A_cancellation_stops_within_a_batch_and_keeps_what_was_learned()
    {
        var context = new MLContext(1);
        var engine = new CountingEngine(step =>
        {
            if (step == 5)
                context.CancelExecution();
        });
        var error = Assert.Throws<OperationCanceledException>(
            () => Blobs.Multiclass(context, options => options.Engine = engine).Fit(Blobs.View(new MLContext(1))));
        Assert.AreEqual(5, engine.Steps);
        Assert.AreEqual(5, ((TrainingCanceledException)error).Checkpoint.Step);
        Assert.AreEqual(CancellationToken.None, error.CancellationToken, "No token was canceled that a caller has.");
    }

    [TestMethod]
    public void The_options_token_cancels_before_the_next_step_and_leaves_the_state()
    {
        using var source = new CancellationTokenSource();
        var engine = new CountingEngine(step =>
        {
            if (step == 5)
                source.Cancel();
        });
        var context = new MLContext(1);
        var error = Assert.ThrowsExactly<TrainingCanceledException>(() => Blobs.Multiclass(
            context, options => (options.Engine, options.CancellationToken) = (engine, source.Token))
            .Fit(Blobs.View(context)));
        Assert.AreEqual(5, engine.Steps);
        Assert.AreEqual(5, error.Checkpoint.Step);
        Assert.AreEqual(source.Token, error.CancellationToken, "The caller tells by it who canceled.");
        Blobs.Multiclass(context, options => options.Epochs = 1).Fit(Blobs.View(context));
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void A_cancellation_after_the_last_step_leaves_a_checkpoint_to_go_on_from(bool byToken)
    {
        using var source = new CancellationTokenSource();
        var canceled = new MLContext(1);
        NetworkState expected = Train(new MLContext(1), new CountingEngine(), default);
        Action cancel = byToken ? source.Cancel : canceled.CancelExecution;
        var error = Assert.ThrowsExactly<TrainingCanceledException>(
            () => Train(canceled, new CountingEngine(onPart: _ => cancel()), source.Token));
        Assert.AreEqual((1, 8L), (error.Checkpoint.Epoch, error.Checkpoint.Step), "The epoch is still to be measured.");
        Assert.AreEqual(byToken ? source.Token : default, error.CancellationToken);
        Assert.AreNotEqual(expected, error.Checkpoint.State, "The exact statistics are still to come.");

        static NetworkState Train(MLContext context, ITrainingEngine engine, CancellationToken token) =>
            Blobs.Multiclass(context, options =>
            {
                (options.Epochs, options.ValidationSplit, options.Seed) = (1, 0.2, 3);
                (options.Engine, options.CancellationToken) = (engine, token);
            }).Fit(Blobs.View(context)).Model.State;
    }

    [TestMethod]
    public void The_options_token_stops_the_reading_of_rows()
    {
        using var source = new CancellationTokenSource();
        IDataView view = Endless(source.Cancel);
        var error = Assert.ThrowsExactly<OperationCanceledException>(() => Blobs.Regression(
            new MLContext(1), options => options.CancellationToken = source.Token).Fit(view));
        Assert.AreEqual(source.Token, error.CancellationToken);
    }

    [TestMethod]
    public void A_cancellation_stops_the_reading_of_rows()
    {
        var context = new MLContext(1);
        IDataView view = Endless(context.CancelExecution);
        Assert.ThrowsExactly<OperationCanceledException>(() => Blobs.Regression(context).Fit(view));
    }

    [TestMethod]
    public void Training_that_diverges_is_one_clear_error_with_the_last_good_state()
    {
        var context = new MLContext(1);
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Blobs.Regression(context, options =>
        {
            options.NetworkFactory = (_, _) => Network.Input(4).Dense(8).Dense(1);
            options.Optimizer = Optimizer.Sgd(1e6);
        }).Fit(Blobs.View(context)));
        StringAssert.StartsWith(error.Message, "Training diverged in epoch 1, step ");
        Assert.IsTrue(error.IsMarked());
        Assert.IsNotNull(((TrainingDivergedException)error.InnerException!).LastGoodState);
    }

    [TestMethod]
    public void A_checkpoint_is_written_at_each_epoch_s_end()
    {
        var context = new MLContext(1);
        string path = Path.GetTempFileName();
        try
        {
            var model = Blobs.Multiclass(context, options =>
                (options.CheckpointPath, options.RecomputeStatistics) = (path, false)).Fit(Blobs.View(context));
            using FileStream file = File.OpenRead(path);
            Assert.AreEqual(model.Model.State, TrainingCheckpoint.Load(file).State);
        }
        finally
        {
            File.Delete(path);
        }
    }

    static ProgressReporting.ProgressEntry[] Progress(MLContext context)
    {
        IHostEnvironment environment = CatalogUtils.GetEnvironment(context.Transforms);
        FieldInfo field = environment.GetType().GetField(
            "ProgressTracker", BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.FlattenHierarchy)!;
        return [.. ((ProgressReporting.ProgressTracker)field.GetValue(environment)!).GetAllProgress()
            .Where(told => told.Kind == ProgressReporting.ProgressEvent.EventKind.Progress)
            .Select(told => told.ProgressEntry)];
    }

    /// <summary>Rows without an end, which cancel what reads them.</summary>
    static IDataView Endless(Action cancel)
    {
        return new MLContext(1).Data.LoadFromEnumerable(Rows());

        IEnumerable<Blobs.Row> Rows()
        {
            Blobs.Row[] rows = Blobs.Rows(30);
            for (int i = 0; ; i++)
            {
                if (i == 5000)
                    cancel();
                if (i > 100_000)
                    Assert.Fail("The reading does not end.");
                yield return rows[i % 30];
            }
        }
    }
}
