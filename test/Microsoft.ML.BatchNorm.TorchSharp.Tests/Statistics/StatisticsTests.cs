namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Statistics;

/// <summary>Statistics fitted by libtorch are those of the core's engine, to 1e-6 of the data's own size.</summary>
[TestClass]
public class StatisticsTests
{
    static readonly TorchEngine engine = new("cpu");

    static IEnumerable<object[]> Kinds =>
        from moving in Enum.GetValues<MovingStatistics>()
        from convention in Enum.GetValues<VarianceConvention>()
        select new object[] { moving, convention };

    [TestMethod]
    [DynamicData(nameof(Kinds))]
    public void Every_kind_and_convention_agrees_with_the_core(MovingStatistics moving, VarianceConvention convention)
    {
        var options = new BatchNormalizationOptions { MovingStatistics = moving, VarianceConvention = convention };
        Compare(options, [16, 7], batches: 5);
    }

    [TestMethod]
    [DataRow(new[] { 6, 3, 5, 4 }, 1)]
    [DataRow(new[] { 6, 5, 4, 3 }, -1)]
    [DataRow(new[] { 6, 5, 4, 3 }, 2)]
    [DataRow(new[] { 6, 40 }, 0)]
    public void Every_axis_agrees_with_the_core(int[] shape, int axis) =>
        Compare(new BatchNormalizationOptions { Axis = axis }, shape, batches: 3);

    [TestMethod]
    public void Groups_of_rows_and_renormalization_agree_with_the_core()
    {
        Compare(new BatchNormalizationOptions { VirtualBatchSize = 3 }, [10, 4], batches: 3);
        Compare(new BatchNormalizationOptions { VirtualBatchSize = 3, Axis = 1 }, [10, 4, 5], batches: 3);
        Compare(new BatchNormalizationOptions { Renorm = new() { RMax = 3, RMin = 0.3, DMax = 2 } }, [10, 4],
            batches: 3);
    }

    [TestMethod]
    public void Small_deviations_around_a_large_mean_keep_their_digits()
    {
        var options = new BatchNormalizationOptions { MovingStatistics = MovingStatistics.Population };
        ChannelLayout layout = ChannelLayout.Features(4096, 3);
        BatchNormalizationState state = BatchNormalization.Initialize(options, 3);
        float[] x = Sample.Floats(layout.Count, 1, mean: 10_000, deviation: 0.1);
        BatchNormalizationState core = Fit(new CpuEngine(), options, state, layout, [x]);
        BatchNormalizationState torch = Fit(engine, options, state, layout, [x]);
        Agreement.Within(1e-12, core.MovingMean, torch.MovingMean);
        for (int c = 0; c < 3; c++)
            Assert.AreEqual(core.MovingVariance[c], torch.MovingVariance[c], 1e-9 * core.MovingVariance[c]);
    }

    [TestMethod]
    public void Small_deviations_of_doubles_keep_their_digits_too()
    {
        var options = new BatchNormalizationOptions { MovingStatistics = MovingStatistics.Population };
        ChannelLayout layout = ChannelLayout.Features(1000, 2);
        double[] x = Sample.Doubles(layout.Count, 1, mean: 1e9, deviation: 1e-3);
        var expected = new BatchStatistics(2);
        expected.Add(layout, x);
        using IStatisticsFit fit = engine.StartFit(options, BatchNormalization.Initialize(options, 2));
        fit.Add(layout, x);
        BatchNormalizationState state = fit.Complete();
        for (int c = 0; c < 2; c++)
            Assert.AreEqual(expected.Variance(c), state.MovingVariance[c], 1e-6 * expected.Variance(c));
    }

    [TestMethod]
    [DataRow(NonFinite.Throw)]
    [DataRow(NonFinite.Ignore)]
    public void A_column_of_equal_large_values_has_their_mean_and_no_variance(NonFinite nonFinite)
    {
        var options = new BatchNormalizationOptions
        {
            MovingStatistics = MovingStatistics.Population,
            NonFinite = nonFinite,
        };
        double[] x = new double[1000];
        Array.Fill(x, 1e305);
        using IStatisticsFit fit = engine.StartFit(options, BatchNormalization.Initialize(options, 2));
        fit.Add(ChannelLayout.Features(500, 2), x);
        fit.Add(ChannelLayout.Features(500, 2), x, Sample.Mask(500, 1));
        BatchNormalizationState state = fit.Complete();
        Agreement.SameBits<double>([1e305, 1e305], state.MovingMean);
        Agreement.SameBits<double>([0, 0], state.MovingVariance);
    }

    [TestMethod]
    [DataRow(NonFinite.Throw)]
    [DataRow(NonFinite.Ignore)]
    public void A_variance_that_overflows_is_an_error_that_names_the_channel(NonFinite nonFinite)
    {
        var options = new BatchNormalizationOptions { NonFinite = nonFinite };
        using IStatisticsFit fit = engine.StartFit(options, BatchNormalization.Initialize(options, 2));
        var error = Assert.ThrowsExactly<InvalidDataException>(
            () => fit.Add(ChannelLayout.Features(2, 2), new[] { 1, 1e308, 1, -1e308 }));
        StringAssert.Contains(error.Message, "The variance of channel 1 overflows a double");
    }

    [TestMethod]
    public void Batches_larger_than_a_chunk_agree_with_the_core() =>
        Compare(
            new BatchNormalizationOptions { MovingStatistics = MovingStatistics.Population }, [1, 3, 6_000_000],
            batches: 1, axis: 1);

    [TestMethod]
    public void Values_that_are_not_finite_are_an_error_that_adds_nothing()
    {
        var options = new BatchNormalizationOptions { MovingStatistics = MovingStatistics.Population };
        BatchNormalizationState state = BatchNormalization.Initialize(options, 2);
        ChannelLayout layout = ChannelLayout.Features(4, 2);
        using IStatisticsFit fit = engine.StartFit(options, state);
        var error = Assert.ThrowsExactly<InvalidDataException>(
            () => fit.Add(layout, new float[] { 1, 2, 3, float.NaN, 5, 6, 7, 8 }));
        StringAssert.Contains(error.Message, "channel 1, row 1");
        Assert.AreSame(state, fit.Complete());
    }

    [TestMethod]
    [DataRow(MovingStatistics.Population)]
    [DataRow(MovingStatistics.Exponential)]
    public void Ignored_values_do_not_count(MovingStatistics moving)
    {
        var options = new BatchNormalizationOptions { MovingStatistics = moving, NonFinite = NonFinite.Ignore };
        ChannelLayout layout = ChannelLayout.Features(50, 3);
        float[] x = Sample.Floats(layout.Count, 3);
        (x[4], x[17], x[30]) = (float.NaN, float.PositiveInfinity, float.NegativeInfinity);
        BatchNormalizationState state = BatchNormalization.Initialize(options, 3);
        Agree(Fit(new CpuEngine(), options, state, layout, [x]), Fit(engine, options, state, layout, [x]));
    }

    [TestMethod]
    [DynamicData(nameof(Kinds))]
    public void Positions_that_a_mask_leaves_out_do_not_count(MovingStatistics moving, VarianceConvention convention)
    {
        var options = new BatchNormalizationOptions { MovingStatistics = moving, VarianceConvention = convention };
        CompareMasked(options, [16, 7], 1);
        CompareMasked(options, [6, 3, 5, 4], 1);
        CompareMasked(options, [6, 5, 4, 3], 2);
        CompareMasked(options with { NonFinite = NonFinite.Ignore }, [30, 5], 1);
        CompareMasked(options with { VirtualBatchSize = 3 }, [10, 4, 5], 1);
    }

    [TestMethod]
    public void Masked_batches_larger_than_a_chunk_agree_with_the_core() =>
        CompareMasked(new() { MovingStatistics = MovingStatistics.Population }, [1, 3, 6_000_000], 1);

    [TestMethod]
    [DataRow(MovingStatistics.Population)]
    [DataRow(MovingStatistics.Exponential)]
    public void Masked_values_may_be_anything_and_a_batch_that_is_all_masked_changes_nothing(MovingStatistics moving)
    {
        var options = new BatchNormalizationOptions { MovingStatistics = moving };
        BatchNormalizationState state = BatchNormalization.Initialize(options, 2);
        ChannelLayout layout = ChannelLayout.Features(3, 2);
        float[] x = [1, 2, float.NaN, float.PositiveInfinity, 5, 6];
        using IStatisticsFit fit = engine.StartFit(options, state);
        fit.Add(layout, x, [false, false, false]);
        Assert.AreSame(state, fit.Complete());
        Assert.ThrowsExactly<InvalidDataException>(() => fit.Add(layout, x, [true, true, true]));
        Assert.ThrowsExactly<ArgumentException>(() => fit.Add(layout, x, [true, false]));
        fit.Add(layout, x, [true, false, true]);
        using IStatisticsFit core = new CpuEngine().StartFit(options, state);
        core.Add(ChannelLayout.Features(2, 2), new float[] { 1, 2, 5, 6 });
        Agree(core.Complete(), fit.Complete());
    }

    [TestMethod]
    public void A_single_value_has_no_sample_variance()
    {
        BatchNormalizationOptions options = BatchNormalizationOptions.PyTorch;
        BatchNormalizationState state = BatchNormalization.Initialize(options, 2);
        using IStatisticsFit fit = engine.StartFit(options, state);
        Assert.ThrowsExactly<InvalidDataException>(() => fit.Add(ChannelLayout.Features(1, 2), new float[] { 1, 2 }));
        Assert.AreSame(state, fit.Complete());
    }

    [TestMethod]
    public void Lengths_and_channels_are_checked()
    {
        var options = new BatchNormalizationOptions();
        using IStatisticsFit fit = engine.StartFit(options, BatchNormalization.Initialize(options, 2));
        Assert.ThrowsExactly<ArgumentException>(() => fit.Add(ChannelLayout.Features(2, 3), new float[6]));
        Assert.ThrowsExactly<ArgumentException>(() => fit.Add(ChannelLayout.Features(2, 2), new float[3]));
        Assert.ThrowsExactly<ArgumentException>(
            () => engine.StartFit(options, BatchNormalization.Initialize(options with { Scale = false }, 2)));
    }

    [TestMethod]
    public void A_fit_continues_an_earlier_one()
    {
        var options = new BatchNormalizationOptions { MovingStatistics = MovingStatistics.Population };
        ChannelLayout layout = ChannelLayout.Features(20, 3);
        float[] first = Sample.Floats(layout.Count, 1), second = Sample.Floats(layout.Count, 2, mean: 3);
        BatchNormalizationState state = BatchNormalization.Initialize(options, 3);
        BatchNormalizationState both = Fit(new CpuEngine(), options, state, layout, [first, second]);
        Agree(both, Fit(engine, options, Fit(engine, options, state, layout, [first]), layout, [second]));
    }

    [TestMethod]
    [TestCategory("Gpu")]
    [DynamicData(nameof(Kinds))]
    public void Every_kind_and_convention_agrees_with_the_core_on_a_GPU(
        MovingStatistics moving, VarianceConvention convention)
    {
        Gpu.Need();
        var options = new BatchNormalizationOptions { MovingStatistics = moving, VarianceConvention = convention };
        Compare(options, [16, 7, 5], batches: 5, axis: 1, on: new("cuda"));
        CompareMasked(options, [16, 7, 5], axis: 1, on: new("cuda"));
    }

    static void CompareMasked(BatchNormalizationOptions options, int[] shape, int axis, TorchEngine? on = null)
    {
        var layout = new ChannelLayout(shape, axis);
        BatchNormalizationState state = Sample.State(options, layout.Channels);
        using IStatisticsFit core = new CpuEngine().StartFit(options, state);
        using IStatisticsFit torch = (on ?? engine).StartFit(options, state);
        for (int batch = 0; batch < 3; batch++)
        {
            float[] x = Sample.Floats(layout.Count, batch, mean: 3, deviation: 2);
            bool[] mask = Sample.Mask(layout.Positions, batch);
            if (options.NonFinite == NonFinite.Ignore)
                x[layout.Count / 2] = float.NaN;
            core.Add(layout, x, mask);
            torch.Add(layout, x, mask);
            core.Add(layout, Array.ConvertAll(x, value => (double)value), mask);
            torch.Add(layout, Array.ConvertAll(x, value => (double)value), mask);
        }
        Agree(core.Complete(), torch.Complete());
    }

    static void Compare(
        BatchNormalizationOptions options, int[] shape, int batches, int? axis = null, TorchEngine? on = null)
    {
        var layout = new ChannelLayout(shape, axis ?? options.Axis ?? -1);
        BatchNormalizationState state = Sample.State(options, layout.Channels);
        float[][] data =
            [.. Enumerable.Range(0, batches).Select(i => Sample.Floats(layout.Count, i, mean: i, deviation: 2))];
        Agree(
            Fit(new CpuEngine(), options, state, layout, data), Fit(on ?? engine, options, state, layout, data));
    }

    static BatchNormalizationState Fit(
        IStatisticsEngine engine, BatchNormalizationOptions options, BatchNormalizationState state,
        ChannelLayout layout,
        float[][] batches)
    {
        using IStatisticsFit fit = engine.StartFit(options, state);
        foreach (float[] batch in batches)
            fit.Add(layout, batch);
        return fit.Complete();
    }

    static void Agree(BatchNormalizationState core, BatchNormalizationState torch)
    {
        Agreement.Within(1e-6, core.MovingMean, torch.MovingMean, "moving mean");
        Agreement.Within(1e-6, core.MovingVariance, torch.MovingVariance, "moving variance");
        Assert.AreEqual(core.BatchesSeen, torch.BatchesSeen);
        Assert.AreEqual(core.InitialWeight, torch.InitialWeight);
        Assert.AreEqual(core.GetPopulation() is null, torch.GetPopulation() is null);
        if (core.GetPopulation() is { } population)
            Agreement.SameBits(population.Count, torch.GetPopulation()!.Count, "count");
        if (core.Renorm is { } renorm)
        {
            Agreement.Within(1e-6, renorm.Mean, torch.Renorm!.Mean, "renorm mean");
            Agreement.Within(1e-6, renorm.StandardDeviation, torch.Renorm.StandardDeviation, "renorm deviation");
        }
    }
}
