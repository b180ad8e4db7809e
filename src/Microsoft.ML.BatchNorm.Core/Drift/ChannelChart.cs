using System.Globalization;

namespace Microsoft.ML.BatchNorm;

/// <summary>The chart of a channel's distribution, then and now, with bins of equal width.</summary>
static class ChannelChart
{
    const int MostBars = 32, MostTicks = 5;

    /// <summary>Values beyond this share at either end are in a bar of their own.</summary>
    const double TailShare = 0.001;

    /// <summary>How many bins lie between that bar and the others.</summary>
    const double Gap = 0.5;

    /// <summary>A range that is a smaller share of the mean has too few doubles, or needs too many digits.</summary>
    const double LeastRange = 1e-9;

    /// <summary>Ranges within this and its inverse can be drawn; values of finite variance have no others.</summary>
    const double Farthest = 1e300;

    /// <summary>The chart; empty if a side has no value.</summary>
    public static string Of(ChannelDrift channel, ChannelHistograms training, ChannelHistograms current)
    {
        double[] before = Shares(training, channel.Channel), now = Shares(current, channel.Channel);
        if (double.IsNaN(before[0] + now[0]))
            return "";
        double mean = training.Mean[channel.Channel], deviation = training.Deviation[channel.Channel];
        string title = $"{channel.Label}: {Caption(channel)}";
        return deviation is not (> 1 / Farthest and < Farthest / ChannelHistograms.Side)
            ? OfConstant(title, mean, before, now)
            : OfBins(title, mean, deviation, before, now);
    }

    static string Caption(ChannelDrift channel) =>
        $"distance {DriftText.Percent(channel.ShapeStatistic)}, p {DriftText.PValue(channel.AdjustedPValue)}"
        + (DriftText.HasMissing(channel)
            ? $", missing {DriftText.Percent(channel.Missing)}, before {DriftText.Percent(channel.TrainingMissing)}"
            : "");

    /// <summary>The share of each bin of the grid, zeros included; NaN without values.</summary>
    static double[] Shares(ChannelHistograms histograms, int channel)
    {
        double[] counts = histograms.CountsOf(channel)[..ChannelHistograms.Zero].ToArray();
        counts[histograms.BinOf(channel, 0)] += histograms.CountsOf(channel)[ChannelHistograms.Zero];
        double count = histograms.FiniteCount(channel);
        return Array.ConvertAll(counts, value => value / count);
    }

    static string OfConstant(string title, double constant, double[] before, double[] now)
    {
        string[] names = ["less", Html.Number(constant), "more"];
        return new OverlaidHistogram(
            title, "value", new ChartAxis(-0.5, 2.5, false, [.. names.Select((name, i) => new ChartTick(i, name))]),
            [.. names.Select((name, i) => new OverlaidBin(name, i - 0.5, i + 0.5, Part(before, i), Part(now, i)))],
            "training", "now").ToHtml();

        static double Part(double[] shares, int part) =>
            shares.Where((_, bin) => bin.CompareTo(ChannelHistograms.Side) + 1 == part).Sum();
    }

    static string OfBins(string title, double mean, double deviation, double[] before, double[] now)
    {
        const int Open = ChannelHistograms.Zero - 1;
        int first = Math.Clamp(Math.Min(From(before), From(now)), 1, Open - 1);
        int last = Math.Clamp(Math.Max(To(before), To(now)), first, Open - 1);
        double least = ChannelHistograms.LowerEdge(first), most = ChannelHistograms.LowerEdge(last + 1);
        double width = Math.Max(WidthOf(first), WidthOf(last));
        while (most - least > MostBars * width)
            width *= 2;
        double low = Math.Floor(least / width) * width, high = Math.Ceiling(most / width) * width;
        int bars = (int)Math.Round((high - low) / width);

        // The first and the last are what lies beyond.
        double[] wide = new double[bars + 2], narrow = new double[bars + 2];
        for (int bin = 0; bin < ChannelHistograms.Zero; bin++)
        {
            double edge = ChannelHistograms.LowerEdge(bin);
            int bar = edge < low ? 0 : 1 + (int)Math.Min(bars, Math.Floor((edge - low) / width));
            wide[bar] += before[bin];
            narrow[bar] += now[bin];
        }
        bool isAtMean = (high - low) * deviation < LeastRange * Math.Abs(mean);
        double center = isAtMean ? 0 : mean;
        bool isBelow = wide[0] + narrow[0] > 0, isAbove = wide[^1] + narrow[^1] > 0;
        ChartAxis inner = ChartAxis.Inside(At(low), At(high), MostTicks);
        ChartAxis axis = inner with
        {
            Low = isBelow ? At(low - (1 + Gap) * width) : inner.Low,
            High = isAbove ? At(high + (1 + Gap) * width) : inner.High,
        };
        var bins = new List<OverlaidBin>();
        if (isBelow)
        {
            bins.Add(new OverlaidBin(
                $"below {Html.Number(At(low))}", axis.Low, At(low - Gap * width), wide[0], narrow[0]));
        }
        for (int bar = 0; bar < bars; bar++)
        {
            double from = At(low + bar * width), to = At(low + (bar + 1) * width);
            bins.Add(new OverlaidBin(
                $"{Html.Number(from)} to {Html.Number(to)}", from, to, wide[bar + 1], narrow[bar + 1]));
        }
        if (isAbove)
        {
            bins.Add(new OverlaidBin(
                $"above {Html.Number(At(high))}", At(high + Gap * width), axis.High, wide[^1], narrow[^1]));
        }
        string unit = isAtMean ? string.Create(CultureInfo.InvariantCulture, $"value minus {mean}") : "value";
        return new OverlaidHistogram(
            title, isBelow || isAbove ? $"{unit} (bars apart: all that lies beyond)" : unit, axis, bins, "training",
            "now").ToHtml();

        double At(double z) => center + z * deviation;
    }

    static double WidthOf(int bin) => ChannelHistograms.LowerEdge(bin + 1) - ChannelHistograms.LowerEdge(bin);

    /// <summary>The first bin that has more than a tail's share below its end.</summary>
    static int From(double[] shares)
    {
        int bin = 0;
        for (double sum = shares[0]; sum <= TailShare && bin < shares.Length - 1; sum += shares[bin])
            bin++;
        return bin;
    }

    /// <summary>The last bin that has more than a tail's share above its beginning.</summary>
    static int To(double[] shares)
    {
        int bin = shares.Length - 1;
        for (double sum = shares[bin]; sum <= TailShare && bin > 0; sum += shares[bin])
            bin--;
        return bin;
    }
}
