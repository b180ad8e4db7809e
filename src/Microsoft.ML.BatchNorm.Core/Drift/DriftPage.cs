namespace Microsoft.ML.BatchNorm;

/// <summary>The page of a drift report: facts, the worst channels as charts, and the table of all channels.</summary>
sealed class DriftPage(DriftReport report, double significance, string title) : IReport
{
    const int MostBars = 16, MostRows = 200, LeastOfHistogram = 8;

    public string Title => title;

    string Level => $"{Html.Number(100 * significance)} % level";

    public string Body() => Facts() + Worst() + All();

    string Facts()
    {
        string facts = Html.Facts([
            ("Channels", Html.Count(report.Channels.Count)),
            ($"Drifted at the {Level}", Html.Count(report.Drifted(significance).Count)),
            ("Least p-value, corrected", Html.Number(report.PValue)),
            ("Values in training", Range(channel => channel.TrainingCount)),
            ("New values", Range(channel => channel.Count)),
        ]);
        return facts + Html.Paragraph(
            "The worst channels come first, by the p-value of the tests of mean and variance, after Holm's correction "
            + "for all tests of all channels. A p-value says whether a channel has moved; shift, ratio and divergence "
            + "say by how much."
            + (report.HasTrainingCounts ? "" : " The number of training values is not known. Their statistics are "
                + "taken as exact, so the p-values are somewhat too small."));
    }

    string Worst()
    {
        ChannelDrift[] worst = [.. report.Channels.Take(MostBars)];
        string title = worst.Length == report.Channels.Count ? "Channels" : $"The worst {worst.Length} channels";
        string charts = Bars("Mean shift", "shift (training deviations)", channel => channel.MeanShift)
            + Bars("Variance", "ratio to training (logarithm to base 2)", channel => Math.Log2(channel.VarianceRatio))
            + Bars("Divergence", "symmetric Kullback–Leibler divergence (nats)", channel => channel.Divergence);
        return Html.Heading(2, title) + (charts.Length > 0
            ? Figure.Grid([charts])
            : Html.Paragraph("There are too few values for shift, ratio and divergence."));

        string Bars(string name, string unit, Func<ChannelDrift, double> value)
        {
            ChartBar[] bars = [.. worst.Select(channel => new ChartBar(
                channel.Label, value(channel), IsDrifted(channel) ? "drifted" : ""))];
            return bars.All(bar => double.IsNaN(bar.Value)) ? "" : new BarChart(name, unit, bars, [
                .. worst.Any(IsDrifted) ? new[] { ("drifted", $"drifted at the {Level}") } : [],
                .. worst.All(IsDrifted) ? [] : new[] { ("kept", "not drifted") },
            ]).ToHtml();
        }
    }

    string All()
    {
        var table = new HtmlTable(
            "Channels, the worst first", "Channel", "Drifted", "p-value, corrected", "Mean shift", "Variance ratio",
            "Divergence", "Mean", "Mean in training", "Deviation", "Deviation in training");
        foreach (ChannelDrift channel in report.Channels.Take(MostRows))
        {
            table.Add(
                channel.Label, IsDrifted(channel) ? "yes" : "no", Number(channel.AdjustedPValue),
                Number(channel.MeanShift), Number(channel.VarianceRatio), Number(channel.Divergence),
                Number(channel.Mean), Number(channel.TrainingMean),
                Number(Math.Sqrt(channel.Variance)), Number(Math.Sqrt(channel.TrainingVariance)));
        }
        int left = report.Channels.Count - MostRows;
        int infinite = report.Channels.Count(channel => double.IsInfinity(channel.MeanShift));
        double[] shifts = [.. report.Channels.Select(channel => channel.MeanShift).Where(double.IsFinite)];
        return Html.Heading(2, "All channels")
            + (shifts.Length < LeastOfHistogram ? "" : Figure.Grid([new HistogramChart(
                infinite == 0 ? "Mean shifts" : $"Mean shifts ({Html.Count(infinite)} infinite ones left out)",
                "all channels", "shift (training deviations)", shifts).ToHtml()]))
            + table
            + (left > 0 ? Html.Paragraph($"Not shown: {Html.Count(left, "channel")} that moved less.") : "");
    }

    bool IsDrifted(ChannelDrift channel) => channel.AdjustedPValue <= significance;

    string Range(Func<ChannelDrift, double> count)
    {
        double least = report.Channels.Min(count), most = report.Channels.Max(count);
        return double.IsInfinity(most) ? "not known"
            : least == most ? Html.Count((long)least)
            : $"{Html.Count((long)least)} to {Html.Count((long)most)}";
    }

    static string Number(double value) => double.IsNaN(value) ? HtmlTable.None : Html.Number(value);
}
