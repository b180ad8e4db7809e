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
        [ReportedRuns.NoDrift.ToHtml()], [TrainingReport.Of(ReportedRuns.Regression).ToHtml()],
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
    public void The_facts_say_how_the_run_was_made()
    {
        TrainingResult result = ReportedRuns.Planned;
        Dictionary<string, string> facts = Parsed(TrainingReport.Of(result).ToHtml()).Descendants("dt").ToDictionary(
            name => name.Value, name => name.ElementsAfterSelf("dd").First().Value);
        Assert.AreEqual("32", facts["Batch size"]);
        Assert.AreEqual("120", facts["Training rows"]);
        Assert.AreEqual("30", facts["Validation rows"]);
        Assert.AreEqual("0", facts["Seed"]);
        Assert.AreEqual("Adam", facts["Optimizer"]);
        Assert.AreEqual("patience 8, best epoch restored", facts["Early stopping"]);
        Assert.AreEqual("0.1.0", facts["Version"]);
        StringAssert.StartsWith(facts["Date"], $"{result.Ended:yyyy-MM-dd}");
        Assert.IsTrue(facts.ContainsKey("Time") && facts.ContainsKey("Rows per second"));
        Assert.AreEqual(
            "0.01", Parsed(TrainingReport.Of(ReportedRuns.Long).ToHtml()).Descendants("dt")
                .Single(name => name.Value == "Learning rate").ElementsAfterSelf("dd").First().Value);
        StringAssert.Contains(
            TrainingReport.Of(ReportedRuns.Long).ToHtml(), "warm-up over 5 epochs, then cosine, to 0 of it");
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
    public void Validation_rows_have_a_confusion_matrix_and_the_classes_their_shares()
    {
        TrainingResult result = ReportedRuns.Planned;
        string[][] matrix = Table(TrainingReport.Of(result).ToHtml(), "Confusion matrix"),
            classes = Table(TrainingReport.Of(result).ToHtml(), "Classes");
        CollectionAssert.AreEqual(new[] { "actual class", "taken for 0", "taken for 1", "taken for 2" }, matrix[0]);
        foreach (ConfusionCount one in result.Confusion)
            Assert.AreEqual($"{one.Rows}", matrix[1 + one.Actual][1 + one.Predicted]);
        int right = result.Confusion.Where(one => one is { Actual: 1, Predicted: 1 }).Sum(one => one.Rows),
            actual = result.Confusion.Where(one => one.Actual == 1).Sum(one => one.Rows),
            taken = result.Confusion.Where(one => one.Predicted == 1).Sum(one => one.Rows);
        Assert.AreEqual($"{actual}", classes[2][1]);
        Assert.AreEqual((double)right / actual, double.Parse(classes[2][2], CultureInfo.InvariantCulture), 1e-3);
        Assert.AreEqual((double)right / taken, double.Parse(classes[2][3], CultureInfo.InvariantCulture), 1e-3);
    }

    [TestMethod]
    public void Many_classes_are_listed_by_their_confusions_with_their_names()
    {
        string page = TrainingReport.Of(
            ReportedRuns.ManyClasses.WithClassNames([.. Enumerable.Range(0, 20).Select(index => $"kind {index}")]))
            .ToHtml();
        string[][] confusions = Table(page, "Most frequent confusions");
        StringAssert.StartsWith(confusions[1][0], "kind ");
        Assert.AreEqual(21, Table(page, "Classes").Length);
        Assert.IsFalse(page.Contains("Confusion matrix", StringComparison.Ordinal));
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
        Assert.IsFalse(TrainingReport.Of(ReportedRuns.Long).ToHtml().Contains(Remark, StringComparison.Ordinal));
    }

    [TestMethod]
    public void Compared_runs_share_their_charts_and_list_what_differs()
    {
        string page = TrainingReport.Compare(
            [("planned", ReportedRuns.Planned), ("long", ReportedRuns.Long)], "Two runs").ToHtml();
        string[][] settings = Table(page, "Settings"), results = Table(page, "Results");
        CollectionAssert.AreEqual(new[] { "setting", "planned", "long" }, settings[0]);
        CollectionAssert.IsSubsetOf(
            new[] { "Early stopping", "Schedule" }, settings.Select(row => row[0]).ToArray());
        CollectionAssert.DoesNotContain(settings.Select(row => row[0]).ToArray(), "Batch size");
        CollectionAssert.AreEqual(new[] { "planned", "long" }, results[1..].Select(row => row[0]).ToArray());
        XElement loss = Charts(page).First();
        Assert.AreEqual(2, loss.Elements("polyline").Count());
        Assert.ThrowsExactly<ArgumentException>(() => TrainingReport.Compare([("one", ReportedRuns.Long)]));
        Assert.ThrowsExactly<ArgumentException>(
            () => TrainingReport.Compare([("a", ReportedRuns.Long), ("a", ReportedRuns.Long)]));
    }

    [TestMethod]
    public void A_title_may_be_given_when_the_page_is_saved()
    {
        var stream = new MemoryStream();
        TrainingReport.Of(ReportedRuns.Short).SaveHtml(stream, title: "Another title");
        Assert.AreEqual(
            "Another title", Parsed(System.Text.Encoding.UTF8.GetString(stream.ToArray())).Descendants("h1").Single().Value);
    }

    [TestMethod]
    [DataRow("safe\u202Etxt.exe", "safe\\u202Etxt.exe")]
    [DataRow("bell\a", "bell\\u0007")]
    [DataRow("isolate\u2066x\u2069", "isolate\\u2066x\\u2069")]
    [DataRow("zero\u200Bwidth", "zero\\u200Bwidth")]
    [DataRow("line\u2028", "line\\u2028")]
    [DataRow("نام\u200Cها", "نام\u200Cها")]
    public void Characters_that_control_the_text_are_shown_as_their_code(string name, string shown)
    {
        string page = TrainingReport.Of(ReportedRuns.Short, name).ToHtml();
        Assert.AreEqual(shown, Parsed(page).Descendants("h1").Single().Value);
    }

    static string[][] Table(string page, string label) =>
    [
        .. Parsed(page).Descendants("div").Single(div => (string?)div.Attribute("aria-label") == label)
            .Descendants("tr").Select(row => row.Elements().Select(cell => cell.Value).ToArray()),
    ];

    static string Class(XElement element) => (string)element.Attribute("class")!;

    static IEnumerable<XElement> Charts(string page) =>
        Parsed(page).Descendants("svg").Where(svg => Class(svg) == "chart");

    /// <summary>The page as XML: it is, but for the elements of its head that have no end.</summary>
    static XDocument Parsed(string page) =>
        XDocument.Parse(Regex.Replace(page, "<meta[^>]*>|<!DOCTYPE html>", "").Replace("<details open>", "<details>")
            .Replace("<details class=\"layer\" open>", "<details class=\"layer\">"));
}
