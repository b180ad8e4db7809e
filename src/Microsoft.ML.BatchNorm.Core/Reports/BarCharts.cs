using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>What the values of bars are, and where their bars begin.</summary>
enum BarScale
{
    /// <summary>Any numbers; bars begin at 0.</summary>
    Linear,

    /// <summary>Ratios, on a logarithmic axis; bars begin at 1.</summary>
    Ratio,

    /// <summary>Numbers that are not negative, on a logarithmic axis; bars begin at its end.</summary>
    Logarithmic,
}

/// <summary>Horizontal bars to their values, one below the other, with their names at the left.</summary>
/// <param name="Title">The title.</param>
/// <param name="Unit">The title of the axis, with its unit.</param>
/// <param name="Bars">The bars from top to bottom; at least one.</param>
/// <param name="Legend">The styles of the bars and their meanings.</param>
/// <param name="Scale">What the values are.</param>
/// <param name="Least">
/// A linear axis reaches at least to this value, so that values that differ from 0 by rounding have no visible bar.
/// </param>
sealed record BarChart(
    string Title, string Unit, IReadOnlyList<ChartBar> Bars, IReadOnlyList<(string Style, string Name)> Legend,
    BarScale Scale = BarScale.Linear, double Least = 0)
{
    const double RowHeight = 19, Top = 8, MostName = 130, Reserve = 28;

    const int MostTicks = 4;

    /// <summary>
    /// The powers of ten of a logarithmic axis: where it begins at the earliest, where it ends at the earliest and at
    /// the latest, and how many it has at most.
    /// </summary>
    const int FirstPower = -4, LeastPower = 0, MostPower = 300, MostPowers = 8;

    double Start => Scale == BarScale.Linear ? 0 : Scale == BarScale.Ratio ? 1 : Axis().Low;

    public string ToHtml()
    {
        ChartAxis axis = Axis();
        double names = Bars.Max(bar => TextSize.Width(TextSize.Fit(bar.Name, MostName)));
        double bottom = Top + Bars.Count * RowHeight;
        double left = names + 8 + Reserve, right = ChartFrame.Width - Reserve;
        var drawing = new Drawing(ChartFrame.Width, (int)bottom + 46);
        double free = double.NegativeInfinity;
        foreach (ChartTick tick in axis.Ticks)
        {
            double at = At(tick.Value), half = TextSize.Width(tick.Text) / 2;
            drawing.Line(tick.Value == Start ? "axis" : "grid", at, Top, at, bottom + 4);
            if (at - half < free)
                continue;
            drawing.Text("tick middle", at, bottom + 20, tick.Text);
            free = at + half + 2;
        }
        for (int i = 0; i < Bars.Count; i++)
            Draw(drawing, Bars[i], Top + i * RowHeight);
        drawing.Text("title end", ChartFrame.Width - 4, bottom + 39, TextSize.Fit(Unit, ChartFrame.Width - 8));
        return Figure.Of(Title, drawing.ToSvg(
            $"{Title}, {Unit}: " + string.Join("; ", Bars.Select(bar => $"{bar.Name} {Html.Number(bar.Value)}")) + "."),
            Legend);

        double At(double value) => left + axis.Share(value) * (right - left);

        void Draw(Drawing drawing, ChartBar bar, double y)
        {
            drawing.Text("tick end", names + 4, y + 13, TextSize.Fit(bar.Name, MostName));
            if (double.IsNaN(bar.Value))
                return;
            double end = At(Math.Clamp(bar.Value, axis.Low, axis.High)), start = At(Start);
            drawing.Box(
                $"bar {bar.Style}", Math.Min(start, end), y + 3, Math.Max(1, Math.Abs(end - start)), RowHeight - 6,
                $"{bar.Name}: {Html.Number(bar.Value)}");
            if (double.IsInfinity(bar.Value) || Scale == BarScale.Ratio && bar.Value == 0)
                drawing.Text("tick middle", end + (end > start ? 12 : -15), y + 13, Html.Number(bar.Value));
        }
    }

    ChartAxis Axis()
    {
        IEnumerable<double> values = Bars.Select(bar => bar.Value);
        double[] known = [.. values.Where(double.IsFinite)];
        if (Scale == BarScale.Ratio)
            return ChartAxis.Ratios(known, MostTicks);
        double edge = known.Select(Math.Abs).Append(Least).Max();
        if (Scale == BarScale.Logarithmic)
        {
            int last = edge > 0 ? (int)Math.Clamp(Math.Ceiling(Math.Log10(edge)), LeastPower, MostPower) : LeastPower;
            return ChartAxis.Decades(Math.Max(FirstPower, last - MostPowers), last, MostTicks);
        }
        double most = edge > 0 ? edge : 1;
        IEnumerable<double> infinite = values.Where(double.IsInfinity).Select(value => Math.Sign(value) * most);
        return ChartAxis.Of(
            known.Any(value => Math.Abs(value) > Least) || Least == 0
                ? [0, .. known, .. infinite]
                : [-Least, Least, .. infinite],
            MostTicks);
    }
}

/// <summary>A bar of a chart. An infinite value reaches to the edge; NaN has no bar.</summary>
sealed record ChartBar(string Name, double Value, string Style);

/// <summary>How many channels have a value in each bin.</summary>
/// <param name="Title">The title.</param>
/// <param name="Subject">What it is about, for readers who cannot see where the chart stands.</param>
/// <param name="Unit">The title of the horizontal axis.</param>
/// <param name="Values">One value per channel: finite, and at least one.</param>
/// <param name="Least">Values whose range is below this differ only by rounding.</param>
/// <param name="AreLogarithms">
/// Whether the values are logarithms of ratios, to base 2; the axis then has the ratios.
/// </param>
/// <param name="Noun">What has the values.</param>
sealed record HistogramChart(
    string Title, string Subject, string Unit, IReadOnlyList<double> Values, double Least = 0,
    bool AreLogarithms = false, string Noun = "channel")
{
    const int MostTicks = 6, MostBins = 30, LeastBins = 6;

    public string ToHtml()
    {
        int most = Math.Clamp((int)(2 * Math.Sqrt(Values.Count)), LeastBins, MostBins);
        HistogramBins bins = HistogramBins.Of(Values, most, Least);
        ImmutableArray<ChartTick> edges = Named(ChartAxis.Between(bins.Low, bins.High, bins.Step));
        double low = AreLogarithms ? Math.Min(-1, Math.Floor(bins.Low)) : bins.Low;
        double high = AreLogarithms ? Math.Max(1, Math.Ceiling(bins.High)) : bins.High;
        double stride = Math.Max(AreLogarithms ? 1 : bins.Step, ChartAxis.NiceStep((high - low) / MostTicks));
        var frame = new ChartFrame(
            new ChartAxis(low, high, false, Named(ChartAxis.Between(
                Math.Ceiling(low / stride - 1e-9) * stride, Math.Floor(high / stride + 1e-9) * stride, stride))),
            ChartAxis.Whole(0, bins.Counts.Max(), 0, 4));
        var drawing = new Drawing(ChartFrame.Width, ChartFrame.Height);
        frame.Draw(drawing, Unit, $"{Noun}s");
        for (int i = 0; i < bins.Counts.Length; i++)
        {
            if (bins.Counts[i] == 0)
                continue;
            double first = frame.AtX(bins.Edge(i)), last = frame.AtX(bins.Edge(i + 1)), top = frame.AtY(bins.Counts[i]);
            drawing.Box(
                "bar", first + 0.5, top, last - first - 1, frame.AtY(0) - top,
                $"{edges[i].Text} to {edges[i + 1].Text}: {Html.Count(bins.Counts[i], Noun)}");
        }
        return Figure.Of(Title, drawing.ToSvg(
            $"{Title} of {Subject}: {Html.Count(Values.Count, Noun)} from {Html.Number(Values.Min())} to "
            + $"{Html.Number(Values.Max())}, {Html.Number(Values.Average())} on average."));
    }

    ImmutableArray<ChartTick> Named(ImmutableArray<ChartTick> ticks) => AreLogarithms
        ? [.. ticks.Select(tick => tick with { Text = ChartAxis.RatioText(tick.Value) })]
        : ticks;
}

/// <summary>Bins of equal width that hold all values, with round numbers as edges.</summary>
sealed record HistogramBins(double Low, double Step, ImmutableArray<int> Counts)
{
    public double High => Edge(Counts.Length);

    public double Edge(int index) => (Math.Round(Low / Step) + index) * Step;

    public static HistogramBins Of(IReadOnlyList<double> values, int most, double least = 0)
    {
        double low = values.Min(), high = values.Max();
        // Greater values have no such bins, and are equal but for rounding.
        if (high - low < least && Math.Max(Math.Abs(low), Math.Abs(high)) < 1e6 * least)
        {
            // Bins of a fixed width, in which rounding does not tell values apart.
            double fixedStep = ChartAxis.NiceStep(least / 2);
            double from = Bin(low, fixedStep) - 2, to = Bin(high, fixedStep) + 3;
            return new HistogramBins(from * fixedStep, fixedStep, Counted(from, to, fixedStep, 1e-6));
        }
        // All values are equal, or differ only by rounding: five bins around that one value.
        if (ChartAxis.AreEqual(low, high))
        {
            double width = ChartAxis.NiceStep(ChartAxis.AreEqual(0, Math.Abs(low)) ? 0.1 : Math.Abs(low) / 10);
            double middle = Math.Floor(low / width + 1e-6) * width;
            return new HistogramBins(middle - 2 * width, width, [0, 0, values.Count, 0, 0]);
        }
        double step = ChartAxis.NiceStep((high - low) / most);
        double first = Math.Floor(low / step), last = Math.Max(first + 1, Math.Ceiling(high / step));
        return new HistogramBins(first * step, step, Counted(first, last, step, 0));

        double Bin(double value, double width, double tolerance = 1e-6) => Math.Floor(value / width + tolerance);

        ImmutableArray<int> Counted(double first, double last, double step, double tolerance)
        {
            int[] counts = new int[(int)(last - first)];
            foreach (double value in values)
                counts[Math.Clamp((int)(Bin(value, step, tolerance) - first), 0, counts.Length - 1)]++;
            return [.. counts];
        }
    }
}

/// <summary>Two distributions over the same bins: a wide bar for one, and a narrow one in it for the other.</summary>
/// <param name="Title">The title.</param>
/// <param name="Unit">The title of the horizontal axis.</param>
/// <param name="X">The horizontal axis.</param>
/// <param name="Bins">The bins, from left to right; at least one.</param>
/// <param name="Wide">The name of the distribution with wide bars.</param>
/// <param name="Narrow">The name of the other.</param>
sealed record OverlaidHistogram(
    string Title, string Unit, ChartAxis X, IReadOnlyList<OverlaidBin> Bins, string Wide, string Narrow)
{
    const int MostTicks = 4;

    public string ToHtml()
    {
        var frame = new ChartFrame(
            X, ChartAxis.Of([0, .. Bins.Select(bin => 100 * Math.Max(bin.Wide, bin.Narrow))], MostTicks));
        var drawing = new Drawing(ChartFrame.Width, ChartFrame.Height);
        frame.Draw(drawing, Unit, "share of values (%)");
        foreach (OverlaidBin bin in Bins)
        {
            double first = frame.AtX(bin.Low), width = frame.AtX(bin.High) - first;
            Draw("bar", first + 0.5, width - 1, bin.Wide, Wide);
            Draw("bar now", first + width / 4, width / 2, bin.Narrow, Narrow);

            void Draw(string style, double left, double width, double share, string name)
            {
                double top = frame.AtY(100 * share);
                if (share > 0)
                {
                    drawing.Box(
                        style, left, top, width, frame.AtY(0) - top,
                        $"{bin.Name}: {name} {Html.Number(100 * share)} %");
                }
            }
        }
        return Figure.Of(
            Title, drawing.ToSvg(
                $"{Title}, {Unit}: " + string.Join("; ", Bins.Where(bin => bin.Wide > 0 || bin.Narrow > 0).Select(
                    bin => $"{bin.Name} {Html.Number(100 * bin.Wide)} %, {Html.Number(100 * bin.Narrow)} %")) + "."),
            ("kept", Wide), ("drifted", Narrow));
    }
}

/// <summary>A bin of two distributions: its name, its place on the axis, and the two shares.</summary>
sealed record OverlaidBin(string Name, double Low, double High, double Wide, double Narrow);
