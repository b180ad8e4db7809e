using System.Globalization;
using System.Text;

namespace Microsoft.ML.BatchNorm;

/// <summary>What a drift report says in plain text.</summary>
static class DriftText
{
    /// <summary>How many channels a table has if none of them has drifted.</summary>
    const int QuietRows = 3;

    /// <summary>The least p-value that is written as a number: beyond, rounding decides.</summary>
    const double LeastPValue = 1e-300;

    /// <summary>A p-value, which is never written as 0.</summary>
    public static string PValue(double p) =>
        p < LeastPValue ? "below 1e-300"
        : p.ToString(p < 1e-3 ? "0.0e0" : "0.000", CultureInfo.InvariantCulture);

    /// <summary>A share in percent.</summary>
    public static string Percent(double share) =>
        double.IsNaN(share) ? HtmlTable.None
        : share == 0 ? "0 %"
        : string.Create(CultureInfo.InvariantCulture, $"{100 * share:G3} %");

    /// <summary>What has changed most about a channel that has drifted.</summary>
    public static string Change(ChannelDrift channel)
    {
        double least = Math.Min(
            Math.Min(channel.PValue, channel.VariancePValue), Math.Min(channel.ShapePValue, channel.MissingPValue));
        if (channel.PValue == least)
        {
            return double.IsFinite(channel.MeanShift)
                ? $"its mean has moved by {Html.Number(channel.MeanShift)} training deviations"
                : "it was constant, and has another mean";
        }
        if (channel.VariancePValue == least)
        {
            return double.IsFinite(channel.VarianceRatio)
                ? $"its variance is {Html.Number(channel.VarianceRatio)} times that in training"
                : "it was constant, and varies now";
        }
        return channel.ShapePValue == least
            ? "its distribution has another shape: at least "
                + $"{Percent(channel.ShapeStatistic)} of the values lie elsewhere"
            : $"{Percent(channel.Missing)} of its values are missing, {Percent(channel.TrainingMissing)} in training";
    }

    /// <inheritdoc cref="DriftReport.ToTable"/>
    public static string Table(DriftReport report, int rows, double significance)
    {
        IReadOnlyList<ChannelDrift> channels = report.Ordered(significance);
        int shown = Math.Min(report.IsDrift(significance) ? rows : Math.Min(rows, QuietRows), channels.Count);
        bool hasMissing = channels.Any(HasMissing);
        string[][] cells =
        [
            Row("channel", "mean", "mean before", "sd", "sd before", "shift", "ratio", "KL", "shape", "missing",
                "missing before", "p-value"),
            .. channels.Take(shown).Select(channel => Row(
                Html.Visible(channel.Label),
                Number(channel.Mean),
                Number(channel.TrainingMean),
                Number(Math.Sqrt(channel.Variance)),
                Number(Math.Sqrt(channel.TrainingVariance)),
                Number(channel.MeanShift),
                Number(channel.VarianceRatio),
                Number(channel.Divergence),
                Number(channel.ShapeStatistic),
                Percent(channel.Missing),
                Percent(channel.TrainingMissing),
                PValue(channel.AdjustedPValue))),
        ];
        int[] widths = [.. cells[0].Select((_, column) => cells.Max(row => row[column].Length))];
        var text = new StringBuilder(Html.Visible(report.Verdict(significance))).Append('\n');
        foreach (string[] row in cells)
        {
            text.Append(row[0].PadRight(widths[0]));
            for (int column = 1; column < row.Length; column++)
                text.Append("  ").Append(row[column].PadLeft(widths[column]));
            text.Append('\n');
        }
        int left = channels.Count - shown;
        if (left > 0)
            text.Append($"and {Html.Count(left)} more {(left == 1 ? "channel" : "channels")}\n");
        if (!report.HasTrainingCounts)
            text.Append("The number of training values is not known; their statistics are taken as exact.\n");
        return text.ToString();

        string[] Row(params string[] all) =>
        [
            .. all.Where((_, column) => column switch { 8 => report.HasHistograms, 9 or 10 => hasMissing, _ => true }),
        ];
    }

    /// <summary>Whether any value is missing, now or in training.</summary>
    public static bool HasMissing(ChannelDrift channel) => channel.Missing > 0 || channel.TrainingMissing > 0;

    static string Number(double value) =>
        double.IsFinite(value) ? value.ToString("G3", CultureInfo.InvariantCulture)
        : double.IsNaN(value) ? "-"
        : value > 0 ? "inf" : "-inf";
}
