using System.Globalization;
using System.Reflection;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The page of a drift report: the verdict, facts, the worst channels as charts, and the table of all channels.
/// </summary>
sealed class DriftPage(DriftReport report, double significance, string title) : IReport
{
    const int MostBars = 16, MostRows = 200, LeastOfHistogram = 8, MostDistributions = 9, QuietDistributions = 3;

    /// <summary>What is as great counts as infinite in a histogram, whose range would overflow.</summary>
    const double Infinite = 1e300;

    /// <summary>Shifts, percentages and logarithms of ratios below these are not worth a visible bar.</summary>
    const double LeastShift = 0.1, LeastPercentage = 1, LeastLogarithm = 0.1;

    readonly IReadOnlyList<ChannelDrift> channels = report.Ordered(significance);

    public string Title => title;

    string Level => $"{Html.Number(100 * significance)} % level";

    public string Body() => Verdict() + Facts() + Worst() + Distributions() + All();

    string Verdict() => $"<p class=\"verdict\">{Html.Escape(report.Verdict(significance))}</p>\n";

    string Facts()
    {
        var facts = new List<(string Name, string Value)>
        {
            ("Channels", Html.Count(report.Channels.Count)),
            ($"Drifted at the {Level}", Html.Count(report.Drifted(significance).Count)),
            ("Least p-value, corrected", DriftText.PValue(report.PValue)),
            ("Rows in training", Rows(report.TrainingRows)),
            ("New rows", Rows(report.Rows)),
        };
        AddUnlessRows("Values per channel in training", Range(channel => channel.TrainingCount), report.TrainingRows);
        AddUnlessRows("New values per channel", Range(channel => channel.Count), report.Rows);
        if (report.Channels.Any(DriftText.HasMissing))
        {
            double before = report.Channels.Average(channel => channel.TrainingMissing);
            facts.Add(("Missing in training", double.IsNaN(before) ? "not known" : DriftText.Percent(before)));
            facts.Add(("Missing now", DriftText.Percent(report.Channels.Average(channel => channel.Missing))));
        }
        if (report.Subject is { } subject)
            facts.Add(("Column", subject));
        facts.Add(("Compared (UTC)", report.Created.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture)));
        facts.Add(("Library", $"Microsoft.ML.BatchNorm {Version()}"));
        return Html.Facts(facts) + Html.Paragraph(
            "Channels that have drifted come first, those with the strongest drift on top; then the others by their "
            + "p-values. A p-value, after Holm's correction for all tests of all channels, says whether a channel has "
            + "moved; shift, ratio, divergence and shape say by how much."
            + (report.HasHistograms
                ? ""
                : " The tests are those of mean and variance. A change of shape with equal mean and variance cannot be "
                    + "seen here: fit with the option KeepHistograms to compare the distributions.")
            + (report.HasTrainingCounts ? "" : " The number of training values is not known. Their statistics are "
                + "taken as exact, so the p-values are somewhat too small."));

        void AddUnlessRows(string name, string values, double rows)
        {
            if (values != Rows(rows))
                facts.Add((name, values));
        }
    }

    string Worst()
    {
        ChannelDrift[] worst = [.. channels.Take(MostBars)];
        string title = worst.Length == channels.Count ? "Channels" : $"The worst {worst.Length} channels";
        string charts = Bars(
                "Mean shift", "shift (training deviations)", channel => channel.MeanShift, BarScale.Linear, LeastShift)
            + Bars("Variance", "ratio to training, log scale", channel => channel.VarianceRatio, BarScale.Ratio)
            + Bars(
                "Divergence", "symmetric KL divergence (nats), log scale", channel => channel.Divergence,
                BarScale.Logarithmic)
            + (!report.HasHistograms ? "" : Bars(
                "Shape", "distance of the distributions (%)", channel => 100 * channel.ShapeStatistic, BarScale.Linear,
                LeastPercentage))
            + (!worst.Any(DriftText.HasMissing) ? "" : Bars(
                "Missing values", "change of their share (percentage points)",
                channel => 100 * (channel.Missing - channel.TrainingMissing), BarScale.Linear, LeastPercentage));
        return Html.Heading(2, title) + (charts.Length > 0
            ? Figure.Grid([charts])
            : Html.Paragraph("There are too few values for shift, ratio and divergence."));

        string Bars(string name, string unit, Func<ChannelDrift, double> value, BarScale scale, double least = 0)
        {
            ChartBar[] bars = [.. worst.Select(channel => new ChartBar(
                channel.Label, value(channel), IsDrifted(channel) ? "drifted" : ""))];
            return bars.All(bar => double.IsNaN(bar.Value)) ? "" : new BarChart(name, unit, bars, [
                .. worst.Any(IsDrifted) ? new[] { ("drifted", $"drifted at the {Level}") } : [],
                .. worst.All(IsDrifted) ? [] : new[] { ("kept", "not drifted") },
            ], scale, least).ToHtml();
        }
    }

    string Distributions()
    {
        if (report.Histograms is not var (training, current))
            return "";
        int drifted = report.Drifted(significance).Count;
        string charts = string.Concat(channels
            .Take(drifted == 0 ? QuietDistributions : Math.Min(drifted, MostDistributions))
            .Select(channel => ChannelChart.Of(channel, training, current)));
        return charts.Length == 0 ? "" : Html.Heading(2, "Distributions, then and now") + Figure.Grid([charts]);
    }

    string All()
    {
        bool hasMissing = channels.Any(DriftText.HasMissing);
        var table = new HtmlTable("All channels, the worst first", Row(
            "Channel", "Drifted", "p-value, corrected", "Mean shift", "Variance ratio", "Divergence", "Shape (%)",
            "Missing (%)", "Missing in training (%)", "Mean", "Mean in training", "Deviation", "Deviation in training"));
        foreach (ChannelDrift channel in channels.Take(MostRows))
        {
            table.Add(Row(
                channel.Label, IsDrifted(channel) ? "yes" : "no", DriftText.PValue(channel.AdjustedPValue),
                Number(channel.MeanShift), Number(channel.VarianceRatio), Number(channel.Divergence),
                Number(100 * channel.ShapeStatistic), Number(100 * channel.Missing),
                Number(100 * channel.TrainingMissing), Number(channel.Mean), Number(channel.TrainingMean),
                Number(Math.Sqrt(channel.Variance)), Number(Math.Sqrt(channel.TrainingVariance))));
        }
        int left = channels.Count - MostRows;
        return Html.Heading(2, "All channels")
            + (channels.Count < LeastOfHistogram ? "" : Figure.Grid([
                Histogram("Mean shifts", "shift (training deviations)", channel => channel.MeanShift, LeastShift),
                Histogram(
                    "Variance ratios", "ratio to training, log scale", channel => Math.Log2(channel.VarianceRatio),
                    LeastLogarithm, areLogarithms: true),
                report.HasHistograms
                    ? Histogram(
                        "Shapes", "distance of the distributions (%)", channel => 100 * channel.ShapeStatistic,
                        LeastPercentage)
                    : Histogram("p-values, corrected", "p-value", channel => channel.AdjustedPValue, LeastLogarithm),
            ]))
            + (left > 0 ? Html.Paragraph($"Not shown: {Html.Count(left, "channel")} that moved less.") : "")
            + $"<div class=\"tall\">{table}</div>\n";

        string[] Row(params string[] all) =>
            [.. all.Where((_, column) => column switch { 6 => report.HasHistograms, 7 or 8 => hasMissing, _ => true })];
    }

    string Histogram(
        string name, string unit, Func<ChannelDrift, double> value, double least, bool areLogarithms = false)
    {
        double[] all = [.. channels.Select(value)], finite = [.. all.Where(one => Math.Abs(one) < Infinite)];
        int infinite = all.Count(one => Math.Abs(one) >= Infinite);
        return finite.Length < LeastOfHistogram ? "" : new HistogramChart(
            infinite == 0 ? name : $"{name} ({Html.Count(infinite, "infinite one")} left out)", "all channels", unit,
            finite, least, areLogarithms).ToHtml();
    }

    bool IsDrifted(ChannelDrift channel) => channel.AdjustedPValue <= significance;

    string Range(Func<ChannelDrift, double> count)
    {
        double least = report.Channels.Min(count), most = report.Channels.Max(count);
        return least == most || double.IsInfinity(most)
            ? Rows(most)
            : $"{Html.Count((long)least)} to {Html.Count((long)most)}";
    }

    static string Rows(double count) => double.IsInfinity(count) ? "not known" : Html.Count((long)count);

    static string Number(double value) => double.IsNaN(value) ? HtmlTable.None : Html.Number(value);

    /// <summary>The library's version, without the commit.</summary>
    static string Version() =>
        typeof(DriftPage).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!
            .InformationalVersion.Split('+')[0];
}
