namespace Microsoft.ML.BatchNorm.Tests.Diagnosis;

[TestClass]
public class DiagnosisTests
{
    static readonly Network two = Network.Input(5)
        .Dense(4, name: "a").BatchNormalization(name: "first").ReLU()
        .Dense(6, name: "b").BatchNormalization(name: "second").ReLU().Dense(3, name: "head")
        .WithPreset(NetworkPreset.Keras);

    static readonly float[] features = Sample.Floats(60 * 5, 7, 0.3, 1.2);

    static readonly float[] classes = [.. Enumerable.Range(0, 60).Select(row => (float)(row % 3))];

    static NetworkState Exact(Network network, ReadOnlyMemory<float> rows) =>
        NetworkTrainer.RecomputeStatistics(network, network.Initialize(3), rows);

    [TestMethod]
    public void Exact_statistics_are_not_displaced_at_all()
    {
        BatchNormalizationDiagnosis diagnosis = BatchNormalizationDiagnosis.Of(two, Exact(two, features), features);

        Assert.IsTrue(diagnosis.IsHealthy);
        Assert.AreEqual(0, diagnosis.OutputChange);
        foreach (LayerDiagnosis layer in diagnosis.Layers)
        {
            Assert.AreEqual(0, layer.Displacement);
            Assert.AreEqual(0, layer.DisplacementAsServed, 1e-7);
            Assert.AreEqual(0, layer.Share);
        }
    }

    [TestMethod]
    public void The_displacement_is_that_of_the_formula()
    {
        NetworkState exact = Exact(two, features), moved = With(exact, "first", (mean, variance) => (mean + 0.5, 4 * variance));
        BatchNormalizationState right = exact["first"].BatchNormalization!, wrong = moved["first"].BatchNormalization!;
        double sum = 0;
        for (int c = 0; c < 4; c++)
        {
            double v = wrong.MovingVariance[c] + 1e-3, true2 = right.MovingVariance[c];
            double scale = 1 / Math.Sqrt(v) - 1 / Math.Sqrt(true2 + 1e-3);
            sum += (0.25 / v + true2 * scale * scale) / 4;
        }

        LayerDiagnosis layer = BatchNormalizationDiagnosis.Of(two, moved, features).Layers[0];

        Assert.AreEqual(Math.Sqrt(sum), layer.Displacement, 1e-9);
        Assert.AreEqual(4, layer.VarianceRatio, 0.1);
    }

    [TestMethod]
    public void A_layer_behind_a_wrong_one_is_not_blamed_for_what_it_gets()
    {
        NetworkState moved = With(Exact(two, features), "first", (mean, variance) => (mean + 2, variance));

        BatchNormalizationDiagnosis diagnosis = BatchNormalizationDiagnosis.Of(two, moved, features);

        Assert.AreEqual(0, diagnosis.Layers[1].Displacement, 1e-7);
        Assert.IsGreaterThan(0.5, diagnosis.Layers[1].DisplacementAsServed);
        Assert.AreEqual(1, diagnosis.Layers[0].Share, 1e-6);
        Assert.AreEqual(0, diagnosis.Layers[1].Share, 1e-6);
        Assert.AreEqual(NormalizationFault.None, diagnosis.Layers[1].Fault);
    }

    [TestMethod]
    public void Displacements_as_served_are_of_the_inputs_under_moving_statistics()
    {
        NetworkState state = two.Initialize(3);
        Network until = two.Before("second");
        float[] inputs = until.Forward(state.For(until), features, training: false).Outputs;
        var statistics = new BatchStatistics(6);
        statistics.Add(ChannelLayout.Features(60, 6), inputs);
        double sum = 0;
        for (int c = 0; c < 6; c++)
        {
            double variance = statistics.Variance(c), scale = 1 / Math.Sqrt(1.001) - 1 / Math.Sqrt(variance + 1e-3);
            sum += (statistics.Mean[c] * statistics.Mean[c] / 1.001 + variance * scale * scale) / 6;
        }

        LayerDiagnosis layer = BatchNormalizationDiagnosis.Of(two, state, features).Layers[1];

        Assert.AreEqual(Math.Sqrt(sum), layer.DisplacementAsServed, 1e-6);
    }

    [TestMethod]
    [DataRow("chain")]
    [DataRow("residual")]
    [DataRow("concat")]
    [DataRow("images")]
    public void The_shares_sum_to_1(string kind)
    {
        Network network = kind switch
        {
            "residual" => Network.Input(5).Dense(8).Residual(
                Network.Input(8).BatchNormalization().ReLU().Dense(8).BatchNormalization()).BatchNormalization().Dense(3),
            "concat" => Network.Input(5).Concat(
                Network.Input(5).Dense(4).BatchNormalization(),
                Network.Input(5).BatchNormalization().Dense(3).ReLU()).BatchNormalization().Dense(3),
            "images" => Network.Input(1, 5, 1).Conv2D(3, (3, 1), padding: Padding2D.Same).BatchNormalization().ReLU()
                .Conv2D(4, (3, 1)).BatchNormalization().GlobalAveragePool2D().Dense(3),
            _ => two,
        };

        BatchNormalizationDiagnosis diagnosis =
            BatchNormalizationDiagnosis.Of(network, network.Initialize(3), features);

        Assert.AreEqual(1, diagnosis.Layers.Sum(layer => layer.Share), 1e-6);
        Assert.AreEqual(network.Nodes.Count(node => node.Layer is BatchNormalizationLayer), diagnosis.Layers.Length);
        Assert.AreEqual(NormalizationFault.Initializer, diagnosis.Fault);
    }

    [TestMethod]
    public void Loss_and_metric_are_those_of_an_evaluation_with_each_kind_of_statistics()
    {
        var data = new TrainingData(60, features, classes);
        NetworkState state = two.Initialize(3);

        BatchNormalizationDiagnosis diagnosis = BatchNormalizationDiagnosis.Of(
            two, state, data, new DiagnosisOptions { Loss = Loss.SoftmaxCrossEntropy, BatchSize = 100 });

        Assert.AreEqual(NetworkTrainer.Evaluate(two, state, data, Loss.SoftmaxCrossEntropy), diagnosis.Moving);
        EvaluationResult exact =
            NetworkTrainer.Evaluate(two, Exact(two, features), data, Loss.SoftmaxCrossEntropy);
        Assert.AreEqual(exact, diagnosis.Exact);
        // One batch of all rows has their exact statistics.
        Assert.AreEqual(exact.Loss, diagnosis.Batches!.Loss, 1e-5);
        Assert.AreEqual(exact.Metric, diagnosis.Batches.Metric, 1e-9);
    }

    [TestMethod]
    public void A_network_without_batch_normalization_is_said_to_have_none()
    {
        Network network = Network.Input(5).Dense(3);

        BatchNormalizationDiagnosis diagnosis =
            BatchNormalizationDiagnosis.Of(network, network.Initialize(), features);

        Assert.AreEqual("The network has no batch normalization.", diagnosis.Verdict);
        Assert.IsEmpty(diagnosis.Layers);
        Assert.Contains(diagnosis.Verdict, diagnosis.ToString());
        Assert.Contains(diagnosis.Verdict, diagnosis.ToHtml());
    }

    [TestMethod]
    public void Layers_without_moving_statistics_are_left_out_and_named()
    {
        var untracked = new BatchNormalizationOptions { TrackMovingStatistics = false };
        Network only = Network.Input(5).Dense(4).BatchNormalization(untracked, name: "own").Dense(3);
        Network both = Network.Input(5).Dense(4).BatchNormalization(untracked, name: "own").Dense(3)
            .BatchNormalization(name: "moving");

        BatchNormalizationDiagnosis none = BatchNormalizationDiagnosis.Of(only, only.Initialize(), features),
            one = BatchNormalizationDiagnosis.Of(both, both.Initialize(), features);

        Assert.Contains("track no moving statistics", none.Verdict);
        Assert.AreEqual("moving", one.Layers.Single().Layer);
        Assert.Contains(note => note.StartsWith("own:", StringComparison.Ordinal), one.Notes);
    }

    [TestMethod]
    public void Frozen_layers_are_measured_and_stay_frozen()
    {
        Network frozen = two.Freeze("*");
        NetworkState moved = With(Exact(two, features), "first", (mean, variance) => (mean + 2, variance));

        BatchNormalizationDiagnosis diagnosis = BatchNormalizationDiagnosis.Of(
            frozen, moved, new TrainingData(60, features, classes));

        Assert.AreEqual(NormalizationFault.Frozen, diagnosis.Fault);
        Assert.Contains("Unfreeze", diagnosis.Verdict);
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(5)]
    public void Few_rows_accuse_nobody(int rows)
    {
        NetworkState exact = Exact(two, features);
        Network network = two.WithBatchNormalization(
            options => options with { VarianceConvention = VarianceConvention.Sample }, "*");

        BatchNormalizationDiagnosis diagnosis =
            BatchNormalizationDiagnosis.Of(network, exact, features.AsMemory(0, rows * 5));

        Assert.IsTrue(diagnosis.IsHealthy, diagnosis.Verdict);
        Assert.Contains($"{rows} row", diagnosis.Verdict);
        Assert.Contains("Give at least", diagnosis.Verdict);
    }

    [TestMethod]
    public void One_row_shows_statistics_that_no_batch_has_moved() => Assert.AreEqual(
        NormalizationFault.Initializer,
        BatchNormalizationDiagnosis.Of(two, two.Initialize(), features.AsMemory(0, 5)).Fault);

    [TestMethod]
    public void A_row_that_is_not_finite_is_named()
    {
        float[] broken = [.. features];
        broken[17 * 5 + 2] = float.NaN;

        InvalidDataException error = Assert.ThrowsExactly<InvalidDataException>(
            () => BatchNormalizationDiagnosis.Of(two, two.Initialize(), broken));

        Assert.Contains("row 17, slot 2", error.Message);
    }

    [TestMethod]
    public void Rows_that_a_layer_ignores_do_not_spoil_the_report()
    {
        float[] broken = [.. features];
        broken[17 * 5 + 2] = float.NaN;
        Network network = Network.Input(5)
            .BatchNormalization(new BatchNormalizationOptions { NonFinite = NonFinite.Ignore }).Dense(3);
        NetworkState state = network.Initialize(3);

        BatchNormalizationDiagnosis diagnosis = BatchNormalizationDiagnosis.Of(network, state, broken);

        Assert.IsTrue(double.IsFinite(diagnosis.OutputChange));
        Assert.AreEqual(1, diagnosis.Layers.Sum(layer => layer.Share), 1e-6);
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(2)]
    public void A_channel_without_values_hides_no_fault_of_others(int missing)
    {
        Network network = Network.Input(5)
            .BatchNormalization(new BatchNormalizationOptions { NonFinite = NonFinite.Ignore }, name: "input").Dense(3);
        float[] some = [.. features.Select((value, i) => i % 5 == missing ? float.NaN : value)];
        NetworkState state = Exact(network, some);

        BatchNormalizationDiagnosis diagnosis = BatchNormalizationDiagnosis.Of(
            network, state, Array.ConvertAll(some, value => value + 50));

        Assert.AreEqual(NormalizationFault.OtherRows, diagnosis.Fault, diagnosis.ToString());
        Assert.Contains("exact ones of 60 other values", diagnosis.Verdict);
        Assert.Contains(
            note => note.StartsWith("input: 1 of 5 channels has no value on these rows", StringComparison.Ordinal),
            diagnosis.Notes);
        // The dense layer makes NaN of the missing value in every row.
        Assert.IsTrue(double.IsNaN(diagnosis.OutputChange));
        Assert.Contains("No row has finite outputs", diagnosis.Verdict);
    }

    [TestMethod]
    public void Statistics_do_not_fit_rows_without_values()
    {
        Network network = Network.Input(5)
            .BatchNormalization(new BatchNormalizationOptions { NonFinite = NonFinite.Ignore }, name: "input").Dense(3);

        BatchNormalizationDiagnosis diagnosis = BatchNormalizationDiagnosis.Of(
            network, network.Initialize(3), Enumerable.Repeat(float.NaN, 100 * 5).ToArray());

        Assert.IsTrue(diagnosis.IsHealthy);
        Assert.DoesNotContain("Nothing is wrong", diagnosis.Verdict);
        Assert.Contains("Nothing is known to be wrong", diagnosis.Verdict);
        Assert.Contains(
            note => note.StartsWith("input: 5 of 5 channels have no value on these rows", StringComparison.Ordinal),
            diagnosis.Notes);
    }

    [TestMethod]
    public void Without_an_epsilon_a_channel_that_is_constant_in_a_half_of_the_rows_hides_no_fault()
    {
        (Network network, NetworkState state, float[] rows) = Rare(epsilon: 0, shift: 30);

        BatchNormalizationDiagnosis diagnosis = BatchNormalizationDiagnosis.Of(network, state, rows);

        Assert.IsTrue(double.IsFinite(diagnosis.Layers[0].StandardError));
        Assert.AreEqual(NormalizationFault.OtherRows, diagnosis.Fault, diagnosis.ToString());
    }

    [TestMethod]
    public void A_displacement_that_the_choice_of_rows_can_explain_is_not_called_a_fit()
    {
        (Network network, NetworkState state, float[] rows) = Rare(epsilon: 1e-9, shift: 2);

        BatchNormalizationDiagnosis diagnosis = BatchNormalizationDiagnosis.Of(network, state, rows);

        Assert.IsTrue(diagnosis.IsHealthy);
        Assert.DoesNotContain("Nothing is wrong", diagnosis.Verdict);
        Assert.Contains("Nothing is known to be wrong", diagnosis.Verdict);
        Assert.Contains(
            note => note.StartsWith("input: a displacement of 0.8", StringComparison.Ordinal), diagnosis.Notes);
    }

    [TestMethod]
    [DataRow(MovingStatistics.Cumulative)]
    [DataRow(MovingStatistics.Population)]
    public void Statistics_of_a_whole_training_are_not_taken_for_exact_ones_of_other_rows(MovingStatistics kept)
    {
        // The weights before the layer have moved, so its statistics are of no single network's rows.
        Network network = Network.Input(5).Dense(8)
            .BatchNormalization(new BatchNormalizationOptions { MovingStatistics = kept }, name: "behind").Dense(3);
        float[] many = Sample.Floats(600 * 5, 8);
        var data = new TrainingData(
            600, many, Enumerable.Range(0, 600).Select(row => many[5 * row] > 0 ? 1f : 0).ToArray());
        TrainingResult result = NetworkTrainer.Train(
            network, network.Initialize(3), data,
            new TrainingOptions { Epochs = 40, Optimizer = Optimizer.Adam(learningRate: 0.1) });

        BatchNormalizationDiagnosis unknown = BatchNormalizationDiagnosis.Of(result, data),
            known = BatchNormalizationDiagnosis.Of(result, data, new DiagnosisOptions { TrainingRows = data });

        Assert.AreEqual(NormalizationFault.Unexplained, unknown.Fault, unknown.ToString());
        Assert.AreEqual(NormalizationFault.SlowMomentum, known.Fault, known.ToString());
        Assert.DoesNotContain("lower momentum", known.Verdict);
        Assert.Contains("MovingStatistics.Exponential", known.Verdict);
    }

    [TestMethod]
    public void Exact_statistics_of_the_rows_themselves_are_compared_with_other_rows()
    {
        Network network = Network.Input(5)
            .BatchNormalization(new BatchNormalizationOptions { MovingStatistics = MovingStatistics.Population })
            .Dense(3);

        BatchNormalizationDiagnosis diagnosis = BatchNormalizationDiagnosis.Of(
            network, Exact(network, features), Array.ConvertAll(features, value => value + 3));

        Assert.AreEqual(NormalizationFault.OtherRows, diagnosis.Fault, diagnosis.ToString());
    }

    [TestMethod]
    public void Names_do_not_turn_or_break_the_text()
    {
        Network network = Network.Input(5).BatchNormalization(name: "a\u202Eb\u001Bc\n").Dense(3);

        string text = BatchNormalizationDiagnosis.Of(network, network.Initialize(), features).ToString();

        Assert.Contains("a\\u202Eb\\u001Bc\\u000A", text);
        Assert.DoesNotContain("\u202E", text);
        Assert.DoesNotContain("\u001B", text);
    }

    [TestMethod]
    public void Rows_from_a_source_give_the_same_report()
    {
        var made = new MadeRows(60, 5);
        float[] x = new float[60 * 5], y = new float[60];
        made.Read([.. Enumerable.Range(0, 60)], x, y, []);
        var options = new DiagnosisOptions { Loss = Loss.SoftmaxCrossEntropy, BatchSize = 8 };

        BatchNormalizationDiagnosis mine = BatchNormalizationDiagnosis.Of(
            two, two.Initialize(3), new TrainingData(60, x, y), options),
            streamed = BatchNormalizationDiagnosis.Of(
                two, two.Initialize(3), new TrainingData(made), options);

        Assert.AreEqual(mine.ToString(), streamed.ToString());
    }

    [TestMethod]
    public void It_is_canceled_between_parts_of_the_rows()
    {
        using var source = new CancellationTokenSource();
        source.Cancel();

        Assert.ThrowsExactly<OperationCanceledException>(
            () => BatchNormalizationDiagnosis.Of(two, two.Initialize(), features, null, source.Token));
    }

    [TestMethod]
    public void Targets_count_only_with_a_loss()
    {
        var wrong = new TrainingData(60, features, Enumerable.Repeat(99f, 60).ToArray());

        Assert.IsNull(BatchNormalizationDiagnosis.Of(two, two.Initialize(3), wrong).Moving);
        Assert.ThrowsExactly<ArgumentException>(() => BatchNormalizationDiagnosis.Of(
            two, two.Initialize(3), wrong, new DiagnosisOptions { Loss = Loss.SoftmaxCrossEntropy }));
    }

    [TestMethod]
    public void A_run_tells_its_loss_and_its_batches()
    {
        var data = new TrainingData(60, features, classes);
        TrainingResult result = NetworkTrainer.Train(
            two, two.Initialize(3), data, new TrainingOptions { BatchSize = 2, Epochs = 20 });

        BatchNormalizationDiagnosis diagnosis = BatchNormalizationDiagnosis.Of(result, data);

        Assert.IsNotNull(diagnosis.Moving);
        Assert.AreEqual(NormalizationFault.SmallBatches, diagnosis.Fault);
        Assert.Contains("batches of 2 rows", diagnosis.Verdict);
    }

    [TestMethod]
    public void A_loaded_network_gives_the_same_report()
    {
        NetworkState state = two.Initialize(3);
        var stream = new MemoryStream();
        two.Save(stream, state);
        stream.Position = 0;

        Assert.AreEqual(
            BatchNormalizationDiagnosis.Of(two, state, new TrainingData(60, features, classes)).ToString(),
            BatchNormalizationDiagnosis.Of(
                Network.Load(stream), new TrainingData(60, features, classes)).ToString());
    }

    [TestMethod]
    public void Weights_of_another_framework_are_looked_at_too()
    {
        NetworkState moved = With(Exact(two, features), "first", (mean, variance) => (mean + 2, variance));
        var stream = new MemoryStream();
        two.SaveSafetensors(stream, moved);
        stream.Position = 0;

        BatchNormalizationDiagnosis diagnosis =
            BatchNormalizationDiagnosis.Of(two.LoadSafetensors(stream), new TrainingData(60, features, classes));

        Assert.AreEqual(NormalizationFault.Unexplained, diagnosis.Fault);
        Assert.AreEqual("first", diagnosis.Layers.Single(layer => layer.Fault != NormalizationFault.None).Layer);
    }

    [TestMethod]
    public void Channels_that_are_constant_and_axes_that_are_odd_are_noted()
    {
        float[] constant = [.. features.Select((value, i) => i % 5 == 1 ? 3 : value)];
        Network network = Network.Input(5).BatchNormalization(name: "input").Dense(3);
        Network images = Network.Input(1, 5, 1).BatchNormalization(axis: 2, name: "rows").Flatten().Dense(3);

        Assert.Contains(
            note => note.StartsWith("input: 1 of 5 channels is constant", StringComparison.Ordinal),
            BatchNormalizationDiagnosis.Of(network, network.Initialize(), constant).Notes);
        Assert.Contains(
            note => note.StartsWith("rows: its channels are axis 2", StringComparison.Ordinal),
            BatchNormalizationDiagnosis.Of(images, images.Initialize(), features).Notes);
    }

    [TestMethod]
    public void The_page_has_the_verdict_the_tables_and_the_title()
    {
        BatchNormalizationDiagnosis diagnosis = BatchNormalizationDiagnosis.Of(
            two, two.Initialize(3), new TrainingData(60, features, classes),
            new DiagnosisOptions { Loss = Loss.SoftmaxCrossEntropy });

        string page = diagnosis.ToHtml("Digits <1>");

        Assert.Contains("<h1>Digits &lt;1&gt;</h1>", page);
        Assert.Contains(System.Net.WebUtility.HtmlEncode(diagnosis.Verdict), page);
        Assert.Contains("of batches of 32", page);
        Assert.Contains("second", page);
        DirectoryInfo folder = Directory.CreateTempSubdirectory();
        try
        {
            string path = Path.Combine(folder.FullName, "page.html");
            diagnosis.SaveHtml(path, "Digits <1>");
            var stream = new MemoryStream();
            diagnosis.SaveHtml(stream, "Digits <1>");
            Assert.AreEqual(page, File.ReadAllText(path));
            Assert.AreEqual(page, System.Text.Encoding.UTF8.GetString(stream.ToArray()));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>
    /// Four features that are not 0 in one row each, so that their variance is 0 in a half of the rows, and a fifth
    /// that has moved by <paramref name="shift"/> since the statistics were taken.
    /// </summary>
    static (Network Network, NetworkState State, float[] Rows) Rare(double epsilon, float shift)
    {
        Network network = Network.Input(5)
            .BatchNormalization(new BatchNormalizationOptions { Epsilon = epsilon }, name: "input").Dense(3);
        float[] before = Sample.Floats(1000 * 5, 3);
        for (int row = 0; row < 1000; row++)
        {
            for (int c = 0; c < 4; c++)
                before[5 * row + c] = row == 200 * c ? 1 : 0;
        }
        return (network, Exact(network, before), [.. before.Select((value, i) => i % 5 < 4 ? value : value + shift)]);
    }

    static NetworkState With(NetworkState state, string layer, Func<double, double, (double, double)> change)
    {
        BatchNormalizationState before = state[layer].BatchNormalization!;
        double[] mean = before.MovingMean.ToArray(), variance = before.MovingVariance.ToArray();
        for (int c = 0; c < mean.Length; c++)
            (mean[c], variance[c]) = change(mean[c], variance[c]);
        return state.With(layer, new LayerState(new BatchNormalizationState(mean, variance, before.Gamma, before.Beta)));
    }
}
