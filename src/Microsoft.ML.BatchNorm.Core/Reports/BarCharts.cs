using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>Horizontal bars from 0 to their values, one below the other, with their names at the left.</summary>
/// <param name="Title">The title.</param>
/// <param name="Unit">The title of the axis, with its unit.</param>
/// <param name="Bars">The bars from top to bottom; at least one.</param>
/// <param name="Legend">The styles of the bars and their meanings.</param>
sealed record BarChart(
    string Title, string Unit, IReadOnlyList<ChartBar> Bars, IReadOnlyList<(string Style, string Name)> Legend)
{
    const double RowHeight = 19, Top = 8, MostName = 130, Reserve = 28;

    const int MostTicks = 4;

    public string ToHtml()
    {
        double[] known = [.. Bars.Select(bar => bar.Value).Where(double.IsFinite)];
        double edge = known.Select(Math.Abs).Append(0).Max() is > 0 and var most ? most : 1;
        IEnumerable<double> infinite = Bars.Select(bar => bar.Value).Where(double.IsInfinity);
        ChartAxis axis = ChartAxis.Of([0, .. known, .. infinite.Select(value => Math.Sign(value) * edge)], MostTicks);
        double names = Bars.Max(bar => TextSize.Width(TextSize.Fit(bar.Name, MostName)));
        double bottom = Top + Bars.Count * RowHeight;
        double left = names + 8 + Reserve, right = ChartFrame.Width - Reserve;
        var drawing = new Drawing(ChartFrame.Width, (int)bottom + 46);
        foreach (ChartTick tick in axis.Ticks)
        {
            drawing.Line(tick.Value == 0 ? "axis" : "grid", At(tick.Value), Top, At(tick.Value), bottom + 4);
            drawing.Text("tick middle", At(tick.Value), bottom + 20, tick.Text);
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
            double end = At(Math.Clamp(bar.Value, axis.Low, axis.High));
            drawing.Box(
                $"bar {bar.Style}", Math.Min(At(0), end), y + 3, Math.Max(1, Math.Abs(end - At(0))), RowHeight - 6,
                $"{bar.Name}: {Html.Number(bar.Value)}");
            if (double.IsInfinity(bar.Value))
                drawing.Text("tick middle", end + (bar.Value > 0 ? 12 : -15), y + 13, Html.Number(bar.Value));
        }
    }
}

/// <summary>A bar of a chart. An infinite value reaches to the edge; NaN has no bar.</summary>
sealed record ChartBar(string Name, double Value, string Style);

/// <summary>How many channels have a value in each bin.</summary>
/// <param name="Title">The title.</param>
/// <param name="Subject">What it is about, for readers who cannot see where the chart stands.</param>
/// <param name="Unit">The title of the horizontal axis.</param>
/// <param name="Values">One value per channel: finite, and at least one.</param>
/// <param name="Noun">What has the values.</param>
sealed record HistogramChart(
    string Title, string Subject, string Unit, IReadOnlyList<double> Values, string Noun = "channel")
{
    const int MostTicks = 6, MostBins = 30, LeastBins = 6;

    public string ToHtml()
    {
        int most = Math.Clamp((int)(2 * Math.Sqrt(Values.Count)), LeastBins, MostBins);
        HistogramBins bins = HistogramBins.Of(Values, most);
        ImmutableArray<ChartTick> edges = ChartAxis.Between(bins.Low, bins.High, bins.Step);
        double stride = Math.Max(bins.Step, ChartAxis.NiceStep((bins.High - bins.Low) / MostTicks));
        var frame = new ChartFrame(
            new ChartAxis(bins.Low, bins.High, false, ChartAxis.Between(
                Math.Ceiling(bins.Low / stride - 1e-9) * stride,
                Math.Floor(bins.High / stride + 1e-9) * stride, stride)),
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
}

/// <summary>Bins of equal width that hold all values, with round numbers as edges.</summary>
sealed record HistogramBins(double Low, double Step, ImmutableArray<int> Counts)
{
    public double High => Edge(Counts.Length);

    public double Edge(int index) => (Math.Round(Low / Step) + index) * Step;

    public static HistogramBins Of(IReadOnlyList<double> values, int most)
    {
        double low = values.Min(), high = values.Max();
        // All values are equal, or differ only by rounding: five bins around that one value.
        if (ChartAxis.AreEqual(low, high))
        {
            double width = ChartAxis.NiceStep(ChartAxis.AreEqual(0, Math.Abs(low)) ? 0.1 : Math.Abs(low) / 10);
            double middle = Math.Floor(low / width + 1e-6) * width;
            return new HistogramBins(middle - 2 * width, width, [0, 0, values.Count, 0, 0]);
        }
        double step = ChartAxis.NiceStep((high - low) / most);
        double first = Math.Floor(low / step), last = Math.Max(first + 1, Math.Ceiling(high / step));
        int[] counts = new int[(int)(last - first)];
        foreach (double value in values)
            counts[Math.Clamp((int)(Math.Floor(value / step) - first), 0, counts.Length - 1)]++;
        return new HistogramBins(first * step, step, [.. counts]);
    }
}
