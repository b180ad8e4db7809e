using Microsoft.ML.BatchNorm.Tests.Transformer;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>What fits the statistics is handed in, or chosen by what the context says of GPUs.</summary>
[TestClass]
public class EngineTests
{
    [TestMethod]
    [DataRow(MovingStatistics.Population)]
    [DataRow(MovingStatistics.Exponential)]
    public void An_engine_that_is_handed_in_fits(MovingStatistics kind)
    {
        IDataView view = Fits.Vectors(View.Floats(100, 3));
        var layer = new BatchNormalizationOptions { MovingStatistics = kind };
        var engine = new CountingEngine();
        Assert.AreEqual(
            Fits.Fit(view, layer, batchSize: 30),
            Fits.Fit(view, options => (options.Layer, options.BatchSize, options.Engine) = (layer, 30, engine)));
        Assert.AreEqual((1, 100, 1, 1), (engine.Started, engine.Rows, engine.Completed, engine.Disposed));
    }

    [TestMethod]
    public void Every_column_has_a_fit_of_its_own_and_frozen_ones_have_none()
    {
        var engine = new CountingEngine();
        IDataView view = Fits.Vectors(View.Floats(100, 3));
        Fits.Fit(view, options =>
        {
            options.Columns = [new InputOutputColumnPair("Y", "X"), new InputOutputColumnPair("Z", "X")];
            options.Engine = engine;
        });
        Assert.AreEqual((2, 200, 2, 2), (engine.Started, engine.Rows, engine.Completed, engine.Disposed));
        Fits.Fit(view, options => (options.Layer, options.Engine) = (new() { Trainable = false }, engine));
        Assert.AreEqual(2, engine.Started);
    }

    [TestMethod]
    public void Fits_are_disposed_when_one_fails()
    {
        var engine = new CountingEngine();
        float[][] rows = View.Floats(100, 3);
        rows[50][1] = float.NaN;
        Assert.ThrowsExactly<InvalidOperationException>(
            () => Fits.Fit(Fits.Vectors(rows), options => options.Engine = engine));
        Assert.AreEqual((1, 0, 1), (engine.Started, engine.Completed, engine.Disposed));
    }

    [TestMethod]
    public void A_GPU_that_cannot_be_had_is_an_error_that_says_what_is_missing()
    {
        var context = new MLContext(1) { GpuDeviceId = 3, FallbackToCpu = false };
        var unread = new Estimator.UnreadableView(Fits.Vectors(View.Floats(1, 2)));
        var error = Assert.ThrowsExactly<InvalidOperationException>(
            () => Fits.Estimator(_ => { }, context).Fit(unread));
        StringAssert.Contains(error.Message, "GPU 3");
        StringAssert.Contains(error.Message, "no engine");
        StringAssert.Contains(error.Message, "Options.Engine");
        StringAssert.Contains(error.Message, "FallbackToCpu");
    }

    [TestMethod]
    public void Where_fallback_is_allowed_it_is_a_warning_and_the_CPU_fits()
    {
        IDataView view = Fits.Vectors(View.Floats(100, 3));
        var context = new MLContext(1) { GpuDeviceId = 0, FallbackToCpu = true };
        List<string> warnings = Warnings.Of(context);
        Assert.AreEqual(
            Fits.Fit(view, _ => { }), Fits.Estimator(_ => { }, context).Fit(view).GetState("Y"));
        Assert.AreEqual(1, warnings.Count);
        StringAssert.Contains(warnings[0], "GPU 0");
        StringAssert.Contains(warnings[0], "CPU");
    }

    [TestMethod]
    public void A_GPU_of_a_negative_number_cannot_be_had_either()
    {
        IDataView view = Fits.Vectors(View.Floats(100, 3));
        var context = new MLContext(1) { GpuDeviceId = -1, FallbackToCpu = false };
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => Fits.Estimator(_ => { }, context).Fit(view)).Message,
            "GPU -1");
        context.FallbackToCpu = true;
        List<string> warnings = Warnings.Of(context);
        Fits.Estimator(_ => { }, context).Fit(view);
        Assert.HasCount(1, warnings);
    }

    // The file lies where other tests look for the engine.
    [TestMethod]
    [DoNotParallelize]
    public void An_engine_s_assembly_that_cannot_be_loaded_is_the_same_as_none()
    {
        IDataView view = Fits.Vectors(View.Floats(100, 3));
        var context = new MLContext(1) { GpuDeviceId = 0, FallbackToCpu = false };
        string path = Path.Combine(AppContext.BaseDirectory, "Microsoft.ML.BatchNorm.TorchSharp.dll");
        File.WriteAllText(path, "no assembly");
        try
        {
            var error = Assert.ThrowsExactly<InvalidOperationException>(
                () => Fits.Estimator(_ => { }, context).Fit(view));
            StringAssert.Contains(error.Message, "GPU 0");
            StringAssert.Contains(error.Message, "cannot be used");
            context.FallbackToCpu = true;
            List<string> warnings = Warnings.Of(context);
            Fits.Estimator(_ => { }, context).Fit(view);
            Assert.HasCount(1, warnings);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [TestMethod]
    public void An_engine_that_is_handed_in_needs_no_fallback()
    {
        var context = new MLContext(1) { GpuDeviceId = 0, FallbackToCpu = false };
        List<string> warnings = Warnings.Of(context);
        Fits.Estimator(options => options.Engine = new CountingEngine(), context).Fit(Fits.Vectors(View.Floats(100, 3)));
        Assert.AreEqual(0, warnings.Count);
    }

    [TestMethod]
    public void Fine_tuning_asks_for_the_GPU_of_the_transformer_s_context()
    {
        IDataView view = Fits.Vectors(View.Floats(100, 3));
        var context = new MLContext(1) { GpuDeviceId = 3, FallbackToCpu = true };
        var transformer = Fits.Estimator(_ => { }, context).Fit(view);
        List<string> warnings = Warnings.Of(context);
        transformer.FineTune(view);
        Assert.AreEqual(1, warnings.Count);
    }

    sealed class CountingEngine : IStatisticsEngine
    {
        readonly CpuEngine cpu = new();

        public int Started { get; private set; }

        public int Rows { get; private set; }

        public int Completed { get; private set; }

        public int Disposed { get; private set; }

        public IStatisticsFit StartFit(BatchNormalizationOptions options, BatchNormalizationState state)
        {
            Started++;
            return new Fit(this, cpu.StartFit(options, state));
        }

        sealed class Fit(CountingEngine engine, IStatisticsFit fit) : IStatisticsFit
        {
            public void Add(ChannelLayout layout, ReadOnlySpan<float> x, ReadOnlySpan<bool> mask = default)
            {
                engine.Rows += layout.Rows;
                fit.Add(layout, x, mask);
            }

            public void Add(ChannelLayout layout, ReadOnlySpan<double> x, ReadOnlySpan<bool> mask = default)
            {
                engine.Rows += layout.Rows;
                fit.Add(layout, x, mask);
            }

            public BatchNormalizationState Complete()
            {
                engine.Completed++;
                return fit.Complete();
            }

            public void Dispose()
            {
                engine.Disposed++;
                fit.Dispose();
            }
        }
    }
}
