namespace Microsoft.ML.BatchNorm.Tests.Networks;

/// <summary>Inference, statistics, dropout, and numbers that are not finite, in a session of the CPU engine.</summary>
[TestClass]
public sealed class NumberTests
{
    [TestMethod]
    public void Inference_is_that_of_the_formulas_with_the_moving_statistics()
    {
        Network network = Network.Input(6).BatchNormalization().Dense(40).BatchNormalization().LeakyReLU().Dropout(0.5)
            .Dense(17).Gelu()
            .BatchNormalization(BatchNormalizationOptions.Keras with { UpdateStatistics = false }).Dense(3);
        var lesson = new Lesson(network, rows: 1100);
        using ITrainingSession session = lesson.Start();
        lesson.Step(session, 0, 4, 50);
        float[] outputs = new float[3300];
        session.Predict(lesson.Features, outputs);
        var without = Network.Of(
            network.InputShape,
            network.Nodes.Select(
                node => node.Layer is DropoutLayer dropout ? dropout with { Rate = 0 } : node.Layer));
        double[] expected = new NaiveNetwork(without, session.GetState()).Forward(
            Sample.Widen(lesson.Features), 1100, training: false);
        Agreement.Within(3e-6, expected, outputs);
        session.Predict([], []);
    }

    [TestMethod]
    public void A_layer_without_moving_statistics_takes_those_of_the_rows_of_a_call()
    {
        Network network = Network.Input(6).Dense(9)
            .BatchNormalization(BatchNormalizationOptions.Keras with { TrackMovingStatistics = false }).Dense(3);
        var lesson = new Lesson(network, rows: 1100);
        using ITrainingSession session = lesson.Start();
        float[] outputs = new float[3300];
        session.Predict(lesson.Features, outputs);
        double[] expected = new NaiveNetwork(network, lesson.State).Forward(
            Sample.Widen(lesson.Features), 1100, training: false);
        Agreement.Within(3e-6, expected, outputs);
    }

    [TestMethod]
    public void Recomputed_statistics_are_the_exact_ones_layer_after_layer()
    {
        Network network = Network.Input(6).BatchNormalization().Dense(20).BatchNormalization(name: "fixed").ReLU()
            .Dense(17).BatchNormalization(BatchNormalizationOptions.PyTorch, name: "last").Dense(3).Freeze("fixed");
        var lesson = new Lesson(network, rows: 1500);
        using ITrainingSession session = lesson.Start();
        int[] rows = lesson.AllRows[200..];
        session.RecomputeStatistics(rows);
        NetworkState state = session.GetState();
        Assert.AreEqual(lesson.State["fixed"], state["fixed"]);
        Assert.AreEqual(0, state["last"].BatchNormalization!.InitialWeight);
        foreach (string path in new[] { "batch_normalization", "last" })
        {
            BatchNormalizationState actual = state[path].BatchNormalization!;
            double[] x = new NaiveNetwork(network.Before(path), state.For(network.Before(path))).Forward(
                Sample.Widen(lesson.Features.AsSpan(200 * 6)), rows.Length, training: false);
            var statistics = new BatchStatistics(actual.Channels);
            statistics.Add(ChannelLayout.Features(rows.Length, actual.Channels), x);
            var convention = path == "last" ? VarianceConvention.Sample : VarianceConvention.Population;
            Agreement.Within(3e-6, statistics.Mean, actual.MovingMean, path);
            Agreement.Within(
                3e-6, [.. Enumerable.Range(0, actual.Channels).Select(c => statistics.Variance(c, convention))],
                actual.MovingVariance, path);
        }
    }

    [TestMethod]
    public void A_column_with_a_mean_of_10000_and_a_deviation_of_a_tenth_keeps_six_digits()
    {
        foreach (Network network in new[] { Network.Input(3), Network.Input(3, 1), Network.Input(1, 3) })
        {
            int axis = network.InputShape.Rank == 2 && network.InputShape[0] == 1 ? 2 : 1;
            Network whole = network
                .BatchNormalization(BatchNormalizationOptions.Keras with { Momentum = 0 }, axis).Flatten().Dense(2);
            float[] features = Sample.Floats(3000, 3, 1e4, 0.1);
            var data = new TrainingData(1000, features, new float[1000]);
            using ITrainingSession session = new CpuEngine().Start(
                whole, whole.Initialize(), new TrainingOptions(), data);
            session.TrainOnBatch([.. Enumerable.Range(0, 1000)], 0.01);
            BatchNormalizationState state = session.GetState()["batch_normalization"].BatchNormalization!;
            for (int c = 0; c < 3; c++)
            {
                double[] column = [.. Enumerable.Range(0, 1000).Select(row => (double)features[3 * row + c])];
                double mean = column.Average(), variance = column.Average(value => (value - mean) * (value - mean));
                Assert.AreEqual(mean, state.MovingMean[c], 1e-6);
                Assert.AreEqual(variance, state.MovingVariance[c], 1e-6 * variance);
            }
        }
    }

    [TestMethod]
    public void Dropout_drops_its_share_anew_at_each_step_and_by_each_layer_and_keeps_the_mean()
    {
        // Through x·1 alone, the gradient of the kernel is the mean over the rows of what is kept.
        Network network = Network.Input(2000).Dropout(0.3).Dense(1, useBias: false);
        float[] features = new float[2 * 2000];
        Array.Fill(features, 1);
        var data = new TrainingData(2, features, new float[2]);
        NetworkState state = network.Initialize().With("dense", new LayerState(new float[2000]));
        float[][] kept = [.. Enumerable.Range(0, 3).Select(seed => Kept(seed, steps: 1))];
        float[] values = kept[0].Distinct().Order().ToArray();
        Assert.AreEqual(3, values.Length, "none, one or both of two rows");
        Assert.AreEqual(0.7, kept[0].Average(value => value) / values[2], 0.03);
        Assert.IsFalse(kept[0].SequenceEqual(kept[1]));
        Assert.IsTrue(kept[0].SequenceEqual(Kept(0, steps: 1)));
        Assert.IsFalse(kept[0].SequenceEqual(Kept(0, steps: 2)));

        float[] Kept(int seed, int steps)
        {
            var options = new TrainingOptions { Loss = Loss.MeanAbsoluteError, Optimizer = Optimizer.Sgd(
                1), Seed = seed };
            var wanted = new TrainingData(2, features, new float[] { 1000, 1000 });
            using ITrainingSession session = new CpuEngine().Start(network, state, options, wanted);
            float[] before = new float[2000];
            for (int step = 0; step < steps; step++)
            {
                before = session.GetState()["dense"].Kernel.ToArray();
                session.TrainOnBatch([0, 1], 1);
            }
            float[] after = session.GetState()["dense"].Kernel.ToArray();
            return [.. after.Zip(before, (now, old) => MathF.Round((now - old) * 1000))];
        }
    }

    [TestMethod]
    public void Two_dropouts_of_one_network_drop_apart()
    {
        Network network = Network.Input(1000).Dropout(0.5).Dropout(0.5).Dense(1, useBias: false);
        float[] features = new float[1000];
        Array.Fill(features, 1);
        NetworkState state = network.Initialize().With("dense", new LayerState(new float[1000]));
        var options = new TrainingOptions { Loss = Loss.MeanAbsoluteError, Optimizer = Optimizer.Sgd(1) };
        using ITrainingSession session = new CpuEngine().Start(
            network, state, options, new TrainingData(1, features, new float[] { 1 }));
        session.TrainOnBatch([0], 1);
        float[] kernel = session.GetState()["dense"].Kernel.ToArray();
        Assert.AreEqual(0.25, kernel.Average(value => value == 0 ? 0 : 1), 0.06);
    }

    [TestMethod]
    public void A_feature_that_is_not_finite_is_an_error_that_names_row_and_slot_and_changes_nothing()
    {
        Network input = Network.Input(4);
        foreach (Network network in new[] { input.Dense(3), input.BatchNormalization().ReLU().Dense(3) })
        {
            var lesson = new Lesson(network, rows: 300);
            lesson.Features[4 * 170 + 2] = float.NegativeInfinity;
            using ITrainingSession session = lesson.Start(threads: 2);
            var error = Assert.ThrowsExactly<InvalidDataException>(
                () => session.TrainOnBatch(lesson.AllRows.AsSpan(100), 0.1));
            StringAssert.Contains(error.Message, "row 170, slot 2");
            Assert.AreEqual(lesson.State, session.GetState());
            error = Assert.ThrowsExactly<InvalidDataException>(() => session.Predict(lesson.Features, new float[900]));
            StringAssert.Contains(error.Message, "row 170, slot 2");
            session.TrainOnBatch(lesson.AllRows.AsSpan(0, 100), 0.1);
            Assert.AreEqual(1, session.Steps);
        }
    }

    [TestMethod]
    public void Where_the_first_layer_ignores_them_values_that_are_not_finite_do_not_count()
    {
        foreach (Network start in new[] { Network.Input(6), Network.Input(2, 3), Network.Input(3, 2) })
        {
            BatchNormalizationOptions options = BatchNormalizationOptions.Keras with { NonFinite = NonFinite.Ignore };
            int axis = start.InputShape is { Rank: 2 } shape && shape[0] == 3 ? 2 : 1;
            var lesson = new Lesson(start.BatchNormalization(options, axis).Sigmoid().Flatten().Dense(3), rows: 90);
            (lesson.Features[7], lesson.Features[200]) = (float.PositiveInfinity, float.NegativeInfinity);
            var (expected, loss, next) = lesson.Expected();
            (Dictionary<string, double[]> actual, double actualLoss, NetworkState after) = lesson.Gradients();
            Assert.AreEqual(loss, actualLoss, 2e-6);
            foreach ((string name, double[] gradient) in expected)
                Agreement.Within(3e-6, gradient, actual[name], name);
            BatchNormalizationState state = after["batch_normalization"].BatchNormalization!;
            Agreement.Within(3e-6, next["batch_normalization"].MovingVariance, state.MovingVariance);
            Agreement.Within(3e-6, next["batch_normalization"].MovingMean, state.MovingMean);
        }
    }

    [TestMethod]
    public void A_step_that_diverges_names_the_first_layer_and_leaves_everything_as_it_was()
    {
        Network network = Network.Input(4).Dense(8, name: "first").ReLU()
            .Dense(8, name: "second").BatchNormalization().Dense(3);
        var lesson = new Lesson(network);
        NetworkState huge = lesson.State
            .With("first", new LayerState(Filled(32, 1e30f), new float[8]))
            .With("second", new LayerState(Filled(64, 1e30f), new float[8]));
        using ITrainingSession session = new CpuEngine(2).Start(network, huge, lesson.Options, lesson.Data);
        var error = Assert.ThrowsExactly<TrainingDivergedException>(() => session.TrainOnBatch(lesson.AllRows, 0.1));
        Assert.AreEqual("second", error.Layer);
        Assert.AreEqual(huge, session.GetState());
        Assert.AreEqual(0, session.Steps);
        Assert.AreEqual(0, session.ReadLosses(new double[1]));
        Assert.IsTrue(session.GetOptimizerState().Moments.Values.All(moment => moment.All(value => value == 0)));
    }

    [TestMethod]
    public void A_loss_that_is_not_finite_has_no_layer()
    {
        var lesson = new Lesson(Network.Input(4).Dense(1), new TrainingOptions { Loss = Loss.MeanSquaredError });
        lesson.Targets[3] = float.NaN;
        using ITrainingSession session = lesson.Start();
        Assert.AreEqual(
            "", Assert.ThrowsExactly<TrainingDivergedException>(() => session.TrainOnBatch(lesson.AllRows, 1)).Layer);
        Assert.AreEqual(lesson.State, session.GetState());
    }

    [TestMethod]
    public void A_gradient_that_overflows_under_a_finite_loss_is_found()
    {
        // The loss is linear, the gradient times the features is not finite.
        Network network = Network.Input(2).Dense(2, name: "first").Dense(1, name: "second");
        var options = new TrainingOptions { Loss = Loss.MeanAbsoluteError };
        NetworkState state = network.Initialize()
            .With("first", new LayerState([0f, 0, 0, 0], [0f, 0])).With("second", new LayerState([1e30f, 1e30f], [0f]));
        var data = new TrainingData(1, new[] { 1e30f, 1e30f }, new[] { 1f });
        using ITrainingSession session = new CpuEngine().Start(network, state, options, data);
        var error = Assert.ThrowsExactly<TrainingDivergedException>(() => session.TrainOnBatch([0], 0.1));
        Assert.AreEqual("first", error.Layer);
        Assert.AreEqual(state, session.GetState());
    }

    [TestMethod]
    public void One_row_is_too_few_for_the_sample_variance_and_changes_nothing()
    {
        var lesson = new Lesson(
            Network.Input(4).Dense(5).BatchNormalization(BatchNormalizationOptions.PyTorch).Dense(3));
        using ITrainingSession session = lesson.Start();
        Assert.ThrowsExactly<InvalidDataException>(() => session.TrainOnBatch([3], 0.1));
        Assert.AreEqual(lesson.State, session.GetState());
    }

    [TestMethod]
    public void Constraints_hold_after_each_step()
    {
        var options = BatchNormalizationOptions.Keras with
        {
            GammaConstraint = Constraint.UnitNorm, BetaConstraint = Constraint.NonNegative,
        };
        NetworkState after = new Lesson(
            Network.Input(4).Dense(20).BatchNormalization(options).Dense(3)).Train(3, 30).State;
        BatchNormalizationState state = after["batch_normalization"].BatchNormalization!;
        Assert.AreEqual(1, Math.Sqrt(Sample.Widen(state.Gamma).Sum(value => value * value)), 1e-5);
        Assert.IsTrue(Sample.Widen(state.Beta).All(value => value >= 0));
    }

    static float[] Filled(int length, float value)
    {
        float[] values = new float[length];
        Array.Fill(values, value);
        return values;
    }
}
