using System.Globalization;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Microsoft.ML.BatchNorm.Tests.Reports;

[TestClass]
public class TrainingReportTests
{
    static IEnumerable<object[]> Pages =>
    [
        [TrainingReport.Of(ReportedRuns.Planned).ToHtml()], [TrainingReport.Of(ReportedRuns.Long).ToHtml()],
        [TrainingReport.Of(ReportedRuns.Short).ToHtml()], [ReportedRuns.Drift.ToHtml()],
        [ReportedRuns.NoDrift.ToHtml()], [ReportedRuns.Shapes.ToHtml()], [ReportedRuns.Same.ToHtml()],
        [TrainingReport.Of(ReportedRuns.Regression).ToHtml()],
        [TrainingReport.Compare([("planned", ReportedRuns.Planned), ("long", ReportedRuns.Long)]).ToHtml()],
    ];

    [TestMethod]
    [DynamicData(nameof(Pages))]
    public void A_page_needs_no_other_file_and_no_script(string page)
    {
        string[] loads = ["://", "<script", "<link", "<img", "<iframe", "@import", "url(", "src=", "href="];
        foreach (string loaded in loads)
            Assert.IsFalse(page.Contains(loaded, StringComparison.OrdinalIgnoreCase), loaded);
        Assert.IsFalse(Regex.IsMatch(page, "<[^>]*\\son[a-z]+="));
        StringAssert.Contains(page, "default-src 'none'");
        StringAssert.Contains(page, "prefers-color-scheme:dark");
        StringAssert.Contains(page, "width=device-width");
    }

    [TestMethod]
    [DynamicData(nameof(Pages))]
    public void A_page_is_well_formed_and_every_chart_in_it_says_what_it_shows(string page)
    {
        XDocument document = Parsed(page);
        XElement[] charts = [.. document.Descendants("svg").Where(svg => (string?)svg.Attribute("class") == "chart")];
        Assert.IsTrue(charts.Length > 0);
        foreach (XElement chart in charts)
        {
            Assert.AreEqual("img", (string?)chart.Attribute("role"));
            Assert.IsTrue(((string)chart.Attribute("aria-label")!).Length > 20);
            Assert.IsTrue(chart.Descendants().Any(shape => shape.Name == "circle" || shape.Name == "polyline"
                || (shape.Name == "rect" && ((string)shape.Attribute("class")!).StartsWith("bar"))));
            Assert.IsTrue(chart.Elements("text").Count() >= 4);
            Assert.AreEqual("figure", chart.Parent!.Name.LocalName);
            Assert.AreEqual("figcaption", chart.ElementsBeforeSelf().First().Name.LocalName);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Pages))]
    public void No_number_in_a_drawing_is_anything_but_finite(string page)
    {
        foreach (XAttribute attribute in Parsed(page).Descendants("svg").Descendants().Attributes())
            Assert.IsFalse(attribute.Name != "class" && Regex.IsMatch(attribute.Value, "NaN|∞"), $"{attribute}");
    }

    [TestMethod]
    public void The_same_run_gives_the_same_bytes_in_every_culture_and_by_every_way_out()
    {
        string page = TrainingReport.Of(ReportedRuns.Planned).ToHtml(), drift = ReportedRuns.Drift.ToHtml();
        CultureInfo before = CultureInfo.CurrentCulture;
        string path = Path.GetTempFileName();
        try
        {
            var other = (CultureInfo)CultureInfo.InvariantCulture.Clone();
            (other.NumberFormat.NumberDecimalSeparator, other.NumberFormat.NegativeSign) = (",", "minus");
            other.NumberFormat.NumberGroupSeparator = "_";
            CultureInfo.CurrentCulture = other;
            Assert.AreEqual(page, TrainingReport.Of(ReportedRuns.Planned).ToHtml());
            Assert.AreEqual(drift, ReportedRuns.Drift.ToHtml());
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
        try
        {
            var stream = new MemoryStream();
            TrainingReport.Of(ReportedRuns.Planned).SaveHtml(stream);
            CollectionAssert.AreEqual(System.Text.Encoding.UTF8.GetBytes(page), stream.ToArray());
            TrainingReport.Of(ReportedRuns.Planned).SaveHtml(path);
            CollectionAssert.AreEqual(stream.ToArray(), File.ReadAllBytes(path));
            ReportedRuns.Drift.SaveHtml(path);
            Assert.AreEqual(drift, File.ReadAllText(path));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [TestMethod]
    public void Names_are_shown_as_they_are_and_never_become_markup()
    {
        string page = TrainingReport.Of(ReportedRuns.Planned, "<i>title</i>").ToHtml();
        Assert.IsFalse(page.Contains("alert(1)<", StringComparison.Ordinal));
        XDocument document = Parsed(page);
        Assert.AreEqual("<i>title</i>", document.Descendants("h1").Single().Value);
        Assert.AreEqual("<i>title</i>", document.Descendants("title").First().Value);
        Assert.AreEqual(1, document.Descendants("summary").Count(summary => summary.Value == ReportedRuns.Hostile));
        Assert.IsTrue(document.Descendants("th").Any(cell => cell.Value == ReportedRuns.Hostile));
    }

    [TestMethod]
    public void The_layer_table_says_what_was_frozen_in_which_phase()
    {
        XElement table = Parsed(TrainingReport.Of(ReportedRuns.Planned).ToHtml()).Descendants("table").Last();
        string[][] rows =
            [.. table.Descendants("tr").Select(row => row.Elements().Select(cell => cell.Value).ToArray())];
        CollectionAssert.AreEqual(
            new[] { "Trained in head", "Trained in all but the base's statistics", "Trained in everything" },
            rows[0][4..]);
        Assert.AreEqual(1 + ReportedRuns.Network.Nodes.Count, rows.Length);
        CollectionAssert.AreEqual(
            new[] { "norm", "BatchNormalization", "[24]", "96", "frozen", "frozen", "yes" }, rows[2]);
        CollectionAssert.AreEqual(new[] { "frozen", "yes", "yes" }, rows[1][4..]);
        CollectionAssert.AreEqual(new[] { "–", "–", "–" }, rows[3][4..]);
        CollectionAssert.AreEqual(new[] { "yes", "yes", "yes" }, rows[^1][4..]);
    }

    [TestMethod]
    public void Curves_have_a_point_an_epoch_their_units_and_the_phases_behind_them()
    {
        TrainingResult result = ReportedRuns.Planned;
        XElement[] charts = [.. Charts(TrainingReport.Of(result).ToHtml())];
        string[] titles = [.. charts.Select(chart => chart.ElementsBeforeSelf().First().Value)];
        CollectionAssert.AreEqual(
            new[]
            {
                "Loss", "Metric", "Learning rate", "Moving mean", "Moving variance", "γ", "β", "Moving mean",
                "Moving variance", "γ", "β",
            },
            titles);
        foreach (string style in new[] { "s1", "s2" })
        {
            Assert.AreEqual(
                result.History.Length,
                charts[0].Elements("circle").Count(circle => Class(circle) == $"marker {style}"));
        }
        string[] words = [.. charts[0].Elements("text").Select(text => text.Value)];
        CollectionAssert.Contains(words, "softmax cross-entropy (nats)");
        CollectionAssert.Contains(words, "epoch");
        CollectionAssert.Contains(words, "everything");
        foreach (XElement chart in charts.Where((_, i) => i is not (5 or 6 or 9 or 10)))
            Assert.AreEqual(3, chart.Elements("rect").Count(rect => Class(rect).StartsWith("phase")));
        Assert.AreEqual(1, charts[0].Elements("line").Count(line => Class(line) == "best"));
    }

    [TestMethod]
    public void Histograms_count_every_channel()
    {
        BatchNormalizationState state = ReportedRuns.Planned.State["norm"].BatchNormalization!;
        XElement gamma = Charts(TrainingReport.Of(ReportedRuns.Planned).ToHtml()).ElementAt(5);
        int[] counts = [.. gamma.Elements("rect").Select(bar => bar.Element("title")!.Value)
            .Select(title => int.Parse(Regex.Match(title, "(\\d+) channel").Groups[1].Value,
                CultureInfo.InvariantCulture))];
        Assert.AreEqual(state.Channels, counts.Sum());
        Assert.IsFalse(counts.Contains(0));
    }

    [TestMethod]
    public void A_layer_that_does_not_move_in_a_phase_has_no_point_there()
    {
        XElement[] charts = [.. Charts(TrainingReport.Of(ReportedRuns.Planned).ToHtml())];
        int epochs = ReportedRuns.Planned.History.Length;
        Assert.AreEqual(epochs - 2, charts[3].Elements("circle").Count(circle => Class(circle) == "marker s4"));
        Assert.AreEqual(epochs - 1, charts[7].Elements("circle").Count(circle => Class(circle) == "marker s5"));
    }

    [TestMethod]
    public void A_run_that_has_no_epoch_yet_and_one_without_normalization_have_reports()
    {
        using var source = new CancellationTokenSource();
        source.Cancel();
        var canceled = Assert.ThrowsExactly<TrainingCanceledException>(() => NetworkTrainer.Train(
            Training.Runs.Network, Training.Runs.State, Training.Runs.Data(10), Training.Runs.Options,
            cancellationToken: source.Token));
        StringAssert.Contains(TrainingReport.Of(canceled.Checkpoint).ToHtml(), "No epoch is over yet.");
        Network plain = Network.Input(2).Dense(1);
        TrainingResult result = NetworkTrainer.Train(
            plain, plain.Initialize(1), Training.Runs.Data(10), Training.Runs.Options);
        string page = TrainingReport.Of(result).ToHtml();
        Assert.IsFalse(page.Contains("Batch normalization", StringComparison.Ordinal));
        Assert.AreEqual(2, Charts(page).Count());
    }

    [TestMethod]
    public void A_checkpoint_has_the_report_of_its_epochs()
    {
        string page = TrainingReport.Of(ReportedRuns.Long.Checkpoint).ToHtml();
        StringAssert.Contains(page, "not yet");
        Assert.AreEqual(
            Charts(TrainingReport.Of(ReportedRuns.Long).ToHtml()).Count(), Charts(page).Count());
    }

    [TestMethod]
    public void The_settings_say_how_the_run_was_made()
    {
        TrainingResult result = ReportedRuns.Planned;
        Dictionary<string, string> settings = Settings(result);
        Assert.AreEqual("softmax cross-entropy", settings["Objective"]);
        Assert.AreEqual("Adam, β₁ 0.9, β₂ 0.999, ε 1e-7", settings["Optimizer"]);
        Assert.AreEqual(
            "head 0.01, all but the base's statistics 0.001, everything 0.0001", settings["Learning rate"]);
        Assert.AreEqual("none", settings["Weight decay"]);
        Assert.AreEqual("constant", settings["Schedule"]);
        Assert.AreEqual("32", settings["Batch size"]);
        Assert.AreEqual("head 1, all but the base's statistics 1, everything 12", settings["Epochs"]);
        Assert.AreEqual("patience 8 epochs, best epoch restored", settings["Early stopping"]);
        Assert.AreEqual("0", settings["Seed"]);
        Assert.AreEqual("120", settings["Training rows"]);
        Assert.AreEqual("30", settings["Validation rows"]);
        Assert.AreEqual($"{result.Ended:yyyy-MM-dd HH:mm} UTC", settings["Date"]);
        Assert.AreEqual("Microsoft.ML.BatchNorm 0.1.0", settings["Version"]);

        settings = Settings(ReportedRuns.Train(new TrainingOptions
        {
            Epochs = 2, BatchSize = 40, Seed = -7, Optimizer = Optimizer.AdamW(0.002, 0.05, DecayedParameters.All),
            GradientClipNorm = 3, ClassWeights = [1, 2, 0.5], Shuffle = false, RecomputeStatistics = true,
            LearningRateSchedule = LearningRateSchedule.Cosine(0.1).WithWarmUp(1), ValidationSplit = 0.2,
            EarlyStopping = new EarlyStopping { Patience = 1, MinimumImprovement = 0.01, RestoreBest = false },
        }));
        Assert.AreEqual("0.002", settings["Learning rate"]);
        Assert.AreEqual("0.05 of all parameters", settings["Weight decay"]);
        Assert.AreEqual("warm-up over 1 epoch, then cosine, down to 0.1 times the rate", settings["Schedule"]);
        Assert.AreEqual(
            "patience 1 epoch, improvement of at least 0.01, last epoch kept", settings["Early stopping"]);
        Assert.AreEqual("at most 3", settings["Gradient norm"]);
        Assert.AreEqual("1, 2, 0.5", settings["Class weights"]);
        Assert.AreEqual(("no", "yes", "-7"), (
            settings["Rows shuffled"], settings["Statistics recomputed"], settings["Seed"]));
    }

    [TestMethod]
    public void The_facts_have_the_time_and_the_rate()
    {
        Dictionary<string, string> facts = Parsed(TrainingReport.Of(ReportedRuns.Short).ToHtml()).Descendants("dt")
            .ToDictionary(name => name.Value, name => name.ElementsAfterSelf("dd").First().Value);
        StringAssert.Matches(facts["Time with validation"], new Regex("^[0-9.]+ (ms|s)$"));
        Assert.AreEqual($"{(long)ReportedRuns.Short.RowsPerSecond:N0}", facts["Rows per second in training"]);
        Assert.IsFalse(TrainingReport.Of(ReportedRuns.Short.Checkpoint).ToHtml().Contains("Rows per second in training"));
    }

    [TestMethod]
    [DataRow(0.5, "500 ms")]
    [DataRow(59.94, "59.9 s")]
    [DataRow(600, "10.0 min")]
    [DataRow(7200, "2.0 h")]
    public void A_time_has_the_unit_that_fits(double seconds, string text) =>
        Assert.AreEqual(text, Html.Duration(TimeSpan.FromSeconds(seconds)));

    [TestMethod]
    public void Below_the_curves_is_a_table_of_their_values()
    {
        string[][] epochs = Table(TrainingReport.Of(ReportedRuns.Planned).ToHtml(), "Epochs");
        CollectionAssert.AreEqual(
            new[]
            {
                "Epoch", "Phase", "Training loss", "Validation loss", "Training accuracy", "Validation accuracy",
                "Learning rate",
            },
            epochs[0]);
        Assert.AreEqual(1 + ReportedRuns.Planned.History.Length, epochs.Length);
        EpochResult third = ReportedRuns.Planned.History[2];
        CollectionAssert.AreEqual(
            new[] { "3", "everything", Html.Number(third.Loss), Html.Number(third.ValidationLoss!.Value) },
            epochs[3][..4]);
    }

    [TestMethod]
    public void In_plain_text_a_report_has_results_epochs_classes_and_settings()
    {
        TrainingResult result = ReportedRuns.Planned;
        string text = TrainingReport.Of(result, "A \u202Etitle").ToString();
        StringAssert.StartsWith(text, "A \\u202Etitle\n\nEpochs: ");
        StringAssert.Contains(text, $"\nValidation loss: {Html.Number(result.History[^1].ValidationLoss!.Value)}");
        string[] lines = text.Split('\n');
        int epochs = Array.FindIndex(lines, line => line.StartsWith("Epoch  Phase", StringComparison.Ordinal));
        StringAssert.StartsWith(lines[epochs + result.History.Length], $"   {result.History.Length}  everything");
        int matrix = Array.IndexOf(lines, "Confusion matrix");
        Assert.AreEqual(
            $"2 {result.Confusion.Where(one => one is { Actual: 2, Predicted: 2 }).Sum(one => one.Rows)}",
            $"{lines[matrix + 4].TrimStart()[0]} {lines[matrix + 4].Split(' ')[^1]}");
        CollectionAssert.Contains(lines, "Batch size             32");
        Assert.IsTrue(Array.TrueForAll(lines, line => line == line.TrimEnd()));
    }

    [TestMethod]
    public void A_chart_tells_its_values_where_the_pointer_is()
    {
        TrainingResult result = ReportedRuns.Planned;
        string[] values =
        [
            .. Charts(TrainingReport.Of(result).ToHtml()).First().Elements("rect")
                .Where(rect => Class(rect) == "strip").Select(rect => rect.Element("title")!.Value),
        ];
        Assert.AreEqual(result.History.Length, values.Length);
        string[] first = values[0].Split('\n');
        Assert.AreEqual("epoch 1", first[0]);
        Assert.AreEqual(
            result.History[0].Loss, double.Parse(first[1].Split(' ')[1], CultureInfo.InvariantCulture),
            1e-3 * result.History[0].Loss);
        StringAssert.StartsWith(first[2], "validation ");
    }

    [TestMethod]
    public void Validation_rows_have_a_confusion_matrix_and_the_classes_their_figures()
    {
        TrainingResult result = ReportedRuns.Planned;
        string page = TrainingReport.Of(result).ToHtml();
        string[][] matrix = Table(page, "Confusion matrix"), classes = Table(page, "Classes");
        CollectionAssert.AreEqual(new[] { "Class", "taken for 0", "taken for 1", "taken for 2" }, matrix[0]);
        Assert.AreEqual(
            30, matrix[1..].SelectMany(row => row[1..]).Sum(cell => int.Parse(cell, CultureInfo.InvariantCulture)));
        foreach (ConfusionCount one in result.Confusion)
            Assert.AreEqual($"{one.Rows}", matrix[1 + one.Actual][1 + one.Predicted]);
        int right = result.Confusion.Where(one => one is { Actual: 1, Predicted: 1 }).Sum(one => one.Rows),
            actual = result.Confusion.Where(one => one.Actual == 1).Sum(one => one.Rows),
            taken = result.Confusion.Where(one => one.Predicted == 1).Sum(one => one.Rows);
        CollectionAssert.AreEqual(new[] { "Class", "Rows", "Recall", "Precision", "F1" }, classes[0]);
        CollectionAssert.AreEqual(
            new[]
            {
                "1", $"{actual}", Html.Number((double)right / actual), Html.Number((double)right / taken),
                Html.Number(2.0 * right / (actual + taken)),
            },
            classes[2]);
        Assert.AreEqual(
            result.Confusion.Count(one => one.Actual != one.Predicted),
            Parsed(page).Descendants("td").Count(cell => Class(cell).Contains("wrong")), "Each error is marked.");
    }

    [TestMethod]
    public void A_class_that_occurs_nowhere_has_no_figures()
    {
        Network network = Network.Input(2).Dense(4);
        TrainingResult result = NetworkTrainer.Train(
            network, network.Initialize(1), new TrainingData(20, Sample.Floats(40, 1), new float[20]),
            new TrainingOptions { Epochs = 200, Optimizer = Optimizer.Adam(0.3), ValidationSplit = 0.5 });
        string[][] classes = Table(TrainingReport.Of(result).ToHtml(), "Classes");
        Assert.AreEqual("0 10 1 1 1", string.Join(' ', classes[1]));
        Assert.AreEqual("3 0 – – –", string.Join(' ', classes[4]));
    }

    [TestMethod]
    public void Many_classes_are_listed_by_their_confusions_with_their_names()
    {
        string page = TrainingReport.Of(
            ReportedRuns.ManyClasses.WithClassNames([.. Enumerable.Range(0, 80).Select(index => $"kind {index}")]))
            .ToHtml();
        string[][] confusions = Table(page, "Most frequent confusions");
        CollectionAssert.AreEqual(new[] { "Class", "Taken for", "Rows", "Share of the class" }, confusions[0]);
        StringAssert.StartsWith(confusions[1][0], "kind ");
        int[] rows = [.. confusions[1..].Select(row => int.Parse(row[2], CultureInfo.InvariantCulture))];
        CollectionAssert.AreEqual(rows.OrderDescending().ToArray(), rows);
        Assert.AreEqual(20, rows.Length);
        Assert.IsFalse(page.Contains("Confusion matrix", StringComparison.Ordinal));
        StringAssert.Contains(page, "The worst 60 classes");
        double[] scores =
        [
            .. Table(page, "Classes")[1..].Select(row => double.Parse(row[4], CultureInfo.InvariantCulture)),
        ];
        CollectionAssert.AreEqual(scores.Order().ToArray(), scores);
    }

    [TestMethod]
    public void A_regression_has_residuals()
    {
        string page = TrainingReport.Of(ReportedRuns.Regression).ToHtml();
        string[] titles = [.. Charts(page).Select(chart => chart.ElementsBeforeSelf().First().Value)];
        CollectionAssert.IsSubsetOf(new[] { "Residuals", "Prediction and target" }, titles);
        XElement scatter = Charts(page).Single(
            chart => chart.ElementsBeforeSelf().First().Value == "Prediction and target");
        Assert.AreEqual(
            ReportedRuns.Regression.ValidationPredictions.Length, scatter.Elements("circle").Count());
    }

    [TestMethod]
    public void A_gap_to_the_training_rows_is_remarked_and_chance_is_not()
    {
        const string Remark = "knows its training rows better";
        StringAssert.Contains(TrainingReport.Of(ReportedRuns.ManyClasses).ToHtml(), Remark);
        StringAssert.Contains(TrainingReport.Of(ReportedRuns.ManyClasses).ToString(), Remark);
        Assert.IsFalse(TrainingReport.Of(ReportedRuns.Long).ToHtml().Contains(Remark, StringComparison.Ordinal));
        Assert.IsFalse(TrainingReport.Of(ReportedRuns.Short).ToHtml().Contains(Remark, StringComparison.Ordinal));
    }

    [TestMethod]
    [DataRow(true, 0.1, 0.3, null, null, true)]
    [DataRow(true, 1e-6, 0.01, null, null, false)]
    [DataRow(true, 0.1, 0.15, null, null, false)]
    [DataRow(true, 0.1, 0.3, 0.99, 0.985, false)]
    [DataRow(true, 0.1, 0.3, 0.99, 0.9, true)]
    [DataRow(false, 1e4, 3e4, null, null, true)]
    [DataRow(false, 1e-4, 3e-4, 0.01, 0.011, false)]
    [DataRow(false, 1e-4, 3e-4, 0.01, 0.02, true)]
    public void A_gap_is_one_of_metrics_where_both_are_known_and_else_of_losses(
        bool isAccuracy, double loss, double validationLoss, double? metric, double? validationMetric, bool isRemarked)
    {
        TrainingResult run = isAccuracy ? ReportedRuns.Planned : ReportedRuns.Regression;
        var page = new TrainingPage("", run.Checkpoint.Setup,
            [
                new EpochResult
                {
                    Epoch = 1, Loss = loss, ValidationLoss = validationLoss, Metric = metric,
                    ValidationMetric = validationMetric, LearningRate = 1,
                },
            ],
            [], run.State, Rows(run, 1000));
        Assert.AreEqual(isRemarked, Remark.Of(page).Length > 0);
    }

    [TestMethod]
    [DataRow(0.5, true)]
    [DataRow(0.21, false)]
    public void A_validation_loss_that_has_risen_since_its_best_epoch_is_remarked(double last, bool isRemarked)
    {
        TrainingResult run = Rows(ReportedRuns.Long, 1000);
        EpochResult[] history = [.. new[] { 0.6, 0.2, 0.3, last }.Select((loss, i) => new EpochResult
        {
            Epoch = i + 1, Loss = 0.4, ValidationLoss = loss, LearningRate = 1,
        })];
        var ended = new TrainingResult(run.Checkpoint, run.State, stoppedEarly: false, bestEpoch: 2)
        {
            ValidationRows = 1000,
        };
        string remark = Remark.Of(new TrainingPage("", run.Checkpoint.Setup, [.. history], [], run.State, ended));
        Assert.AreEqual(
            isRemarked
                ? "The validation loss was lowest in epoch 2, at 0.2, and has risen to 0.5: EarlyStopping would keep "
                    + "that epoch."
                : "",
            remark);
    }

    [TestMethod]
    public void Compared_runs_share_their_charts_and_list_what_differs()
    {
        TrainingReport report = TrainingReport.Compare(
            [("planned", ReportedRuns.Planned), ("long", ReportedRuns.Long)], "Two runs");
        string page = report.ToHtml();
        string[][] settings = Table(page, "Settings that differ"), results = Table(page, "Results");
        CollectionAssert.AreEqual(new[] { "Setting", "planned", "long" }, settings[0]);
        CollectionAssert.AreEqual(
            new[]
            {
                "Learning rate", "Schedule", "Epochs", "Early stopping", "Statistics recomputed", "Layer first",
                "Layer norm", "Layer second", $"Layer {Html.Visible(ReportedRuns.Hostile)}",
            },
            settings[1..].Select(row => row[0]).ToArray());
        CollectionAssert.AreEqual(new[] { "Layer first", "Dense [24], frozen in head", "Dense [24]" }, settings[6]);
        CollectionAssert.AreEqual(new[] { "planned", "long" }, results[1..].Select(row => row[0]).ToArray());
        XElement[] charts = [.. Charts(page)];
        CollectionAssert.AreEqual(
            new[] { "Training loss", "Validation loss", "Training metric", "Validation metric", "Learning rate" },
            charts.Select(chart => chart.ElementsBeforeSelf().First().Value).ToArray());
        foreach (XElement chart in charts)
            Assert.AreEqual(2, chart.Elements("polyline").Count());
        string[] tip = charts[0].Elements("rect").Last().Element("title")!.Value.Split('\n');
        CollectionAssert.AreEqual(
            new[] { "epoch 70", $"long {Html.Number(ReportedRuns.Long.History[^1].Loss)}" }, tip);
        StringAssert.Contains(report.ToString(), "\nSetting ");
        Assert.AreEqual("Two runs", report.Title);
    }

    [TestMethod]
    public void Compared_runs_of_other_networks_list_the_layers_that_differ()
    {
        Network one = Network.Input(2).Dense(8, name: "dense").BatchNormalization(name: "norm").Dense(3, name: "top"),
            other = Network.Input(2).Dense(8, name: "dense")
                .BatchNormalization(BatchNormalizationOptions.Keras with { Momentum = 0.9 }, name: "norm")
                .Dense(3, name: "top").Freeze("dense");
        string page = TrainingReport.Compare([("a", Run(one)), ("b", Run(other))]).ToHtml();
        string[][] settings = Table(page, "Settings that differ");
        CollectionAssert.AreEqual(
            new[] { "Layer dense", "Dense [8]", "Dense [8], frozen" }, settings[1]);
        CollectionAssert.AreEqual(
            new[]
            {
                "Layer norm", "BatchNormalization [8], momentum 0.99, ε 0.001",
                "BatchNormalization [8], momentum 0.9, ε 0.001",
            },
            settings[2]);
        Assert.AreEqual(3, settings.Length);
        StringAssert.Contains(
            TrainingReport.Compare([("a", Run(one)), ("b", Run(one))]).ToHtml(), "All settings are the same.");
        Network stated = one.WithBatchNormalization(options => options with
        {
            Momentum = 0.99, VarianceConvention = VarianceConvention.Population,
        }, "norm");
        StringAssert.Contains(
            TrainingReport.Compare([("a", Run(one)), ("b", Run(stated))]).ToHtml(), "All settings are the same.");
    }

    public static IEnumerable<(string, string, string)> Layers =>
    [
        ("Dropout [8], rate 0.1", "Dropout [8], rate 0.6", "drop"),
        ("LeakyReLU [8], negative slope 0.3", "LeakyReLU [8], negative slope 0.2", "leaky"),
        ("BatchNormalization [8], momentum 0.99, ε 0.001, moving statistics Exponential",
            "BatchNormalization [8], momentum 0.99, ε 0.001, moving statistics Cumulative", "kept"),
        ("BatchNormalization [8], momentum 0.99, ε 0.001",
            "BatchNormalization [8], momentum 0.99, ε 0.001, virtual batch size 16", "virtual"),
        ("BatchNormalization [8], momentum 0.99, ε 0.001, gamma initializer value 1",
            "BatchNormalization [8], momentum 0.99, ε 0.001, gamma initializer value 0", "gamma"),
        ("BatchNormalization [8], momentum 0.99, ε 0.001",
            "BatchNormalization [8], momentum 0.99, ε 0.001, frozen", "frozen"),
    ];

    [TestMethod]
    [DynamicData(nameof(Layers))]
    public void Compared_runs_tell_layers_apart_that_differ_in_any_setting(string first, string second, string kind)
    {
        TrainingResult one = Run(With(isSecond: false)), other = Run(With(isSecond: true));
        string page = TrainingReport.Compare([("a", one), ("b", other)]).ToHtml();

        string[][] settings = Table(page, "Settings that differ");
        CollectionAssert.AreEqual(new[] { "Layer it", first, second }, settings[^1]);

        Network With(bool isSecond)
        {
            Network before = Network.Input(2).Dense(8);
            var options = BatchNormalizationOptions.Keras;
            return (kind switch
            {
                "drop" => before.Dropout(isSecond ? 0.6 : 0.1, name: "it"),
                "leaky" => before.LeakyReLU(isSecond ? 0.2 : null, name: "it"),
                "frozen" => before.BatchNormalization(
                    options with { Scale = false, Center = false, Trainable = !isSecond }, name: "it"),
                _ => before.BatchNormalization(!isSecond ? options : kind switch
                {
                    "kept" => options with { MovingStatistics = MovingStatistics.Cumulative },
                    "virtual" => options with { VirtualBatchSize = 16 },
                    _ => options with { GammaInitializer = Initializer.Zeros },
                }, name: "it"),
            }).Dense(3);
        }
    }

    [TestMethod]
    public void Compared_runs_tell_what_phases_freeze()
    {
        Network network = Network.Input(2).Dense(8, name: "base").Dense(3, name: "top");
        TrainingResult all = Run(network, new FineTuningPlan(new TrainingPhase("one", 1, 0.01, all => all))),
            top = Run(network, new FineTuningPlan(new TrainingPhase("one", 1, 0.01, all => all.Freeze("base")))),
            both = Run(network, new FineTuningPlan(
                new TrainingPhase("one", 1, 0.01, all => all.Freeze("base")),
                new TrainingPhase("two", 1, 0.01, all => all.Unfreeze("*"))));

        string[][] settings = Table(
            TrainingReport.Compare([("all", all), ("top", top), ("both", both)]).ToHtml(), "Settings that differ");

        CollectionAssert.AreEqual(
            new[] { "Layer base", "Dense [8]", "Dense [8], frozen", "Dense [8], frozen in one" }, settings[^1]);
    }

    static TrainingResult Run(Network network, FineTuningPlan? plan = null)
    {
        var data = new TrainingData(20, Sample.Floats(40, 1), new float[20]);
        var options = new TrainingOptions { Epochs = 1 };
        return plan is null
            ? NetworkTrainer.Train(network, network.Initialize(1), data, options)
            : NetworkTrainer.Train(network, network.Initialize(1), data, options, plan);
    }

    [TestMethod]
    public void Losses_of_different_kinds_are_not_in_one_chart()
    {
        string page = TrainingReport.Compare([("a", ReportedRuns.Regression), ("b", ReportedRuns.Long)]).ToHtml();
        CollectionAssert.AreEqual(
            new[] { "Learning rate" },
            Charts(page).Select(chart => chart.ElementsBeforeSelf().First().Value).ToArray());
        StringAssert.Contains(page, "different losses");
    }

    [TestMethod]
    public void Runs_to_compare_are_two_to_five_with_names_of_their_own()
    {
        Assert.ThrowsExactly<ArgumentException>(() => TrainingReport.Compare([("one", ReportedRuns.Long)]));
        Assert.ThrowsExactly<ArgumentException>(() => TrainingReport.Compare(
            Enumerable.Range(0, 6).Select(i => ($"{i}", ReportedRuns.Long))));
        Assert.ThrowsExactly<ArgumentException>(
            () => TrainingReport.Compare([("a", ReportedRuns.Long), ("a", ReportedRuns.Long)]));
        Assert.ThrowsExactly<ArgumentNullException>(
            () => TrainingReport.Compare([("a", ReportedRuns.Long), (null!, ReportedRuns.Long)]));
        Assert.ThrowsExactly<ArgumentNullException>(
            () => TrainingReport.Compare([("a", ReportedRuns.Long), ("b", null!)]));
    }

    [TestMethod]
    public void A_title_may_be_given_when_the_page_is_saved()
    {
        var stream = new MemoryStream();
        TrainingReport.Of(ReportedRuns.Short).SaveHtml(stream, title: "Another title");
        Assert.AreEqual(
            "Another title",
            Parsed(System.Text.Encoding.UTF8.GetString(stream.ToArray())).Descendants("h1").Single().Value);
    }

    [TestMethod]
    [DataRow("safe\u202Etxt.exe", "safe\\u202Etxt.exe")]
    [DataRow("bell\a", "bell\\u0007")]
    [DataRow("isolate\u2066x\u2069", "isolate\\u2066x\\u2069")]
    [DataRow("zero\u200Bwidth", "zero\\u200Bwidth")]
    [DataRow("line\u2028", "line\\u2028")]
    [DataRow("two\nlines", "two\\u000Alines")]
    [DataRow("soft\u00ADhyphen", "soft\\u00ADhyphen")]
    [DataRow("tag\U000E0041", "tag\\U000E0041")]
    [DataRow("\U0001F600 ö", "\U0001F600 ö")]
    [DataRow("نام\u200Cها", "نام\u200Cها")]
    public void Characters_that_control_the_text_are_shown_as_their_code(string name, string shown)
    {
        string page = TrainingReport.Of(ReportedRuns.Short, name).ToHtml();
        Assert.AreEqual(shown, Parsed(page).Descendants("h1").Single().Value);
        StringAssert.StartsWith(TrainingReport.Of(ReportedRuns.Short, name).ToString(), $"{shown}\n");
        Assert.AreEqual(TextSize.Fit(shown, 60), TextSize.Fit(name, 60));
        string compared = TrainingReport.Compare([(name, ReportedRuns.Short), ("other", ReportedRuns.Long)]).ToHtml();
        Assert.IsTrue(Charts(compared).First().Descendants("title").First().Value.Split('\n')[1].StartsWith(shown));
        Assert.AreEqual(shown, Table(compared, "Results")[1][0]);
    }

    static string[][] Table(string page, string label) =>
    [
        .. Parsed(page).Descendants("div").Single(div => (string?)div.Attribute("aria-label") == label)
            .Descendants("tr").Select(row => row.Elements().Select(cell => cell.Value).ToArray()),
    ];

    static Dictionary<string, string> Settings(TrainingResult result) =>
        Table(TrainingReport.Of(result).ToHtml(), "Settings")[1..].ToDictionary(row => row[0], row => row[1]);

    /// <summary>A result of a run with so many rows to validate with.</summary>
    static TrainingResult Rows(TrainingResult run, int rows) =>
        new(run.Checkpoint, run.State, run.StoppedEarly, bestEpoch: 1) { ValidationRows = rows };

    static string Class(XElement element) => (string?)element.Attribute("class") ?? "";

    static IEnumerable<XElement> Charts(string page) =>
        Parsed(page).Descendants("svg").Where(svg => Class(svg) == "chart");

    /// <summary>The page as XML: it is, but for the elements of its head that have no end.</summary>
    static XDocument Parsed(string page) =>
        XDocument.Parse(Regex.Replace(page, "<meta[^>]*>|<!DOCTYPE html>", "").Replace("<details open>", "<details>")
            .Replace("<details class=\"layer\" open>", "<details class=\"layer\">"));
}
