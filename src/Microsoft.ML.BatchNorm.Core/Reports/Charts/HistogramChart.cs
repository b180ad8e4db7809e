using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.Reports.Charts;

/// <summary>How many channels have a value in each bin.</summary>
/// <param name="Title">What it shows.</param>
/// <param name="Subject">What it shows that of, for those who do not see what is around it.</param>
/// <param name="Unit">The title of the horizontal axis.</param>
/// <param name="Values">Finite; at least one.</param>
sealed record HistogramChart(string Title, string Subject, string Unit, IReadOnlyList<double> Values)
{
    const int MostTicks = 6, MostBins = 30, LeastBins = 6;

    public string ToHtml()
    {
        Bins bins = Bins.Of(Values, Math.Clamp((int)(2 * Math.Sqrt(Values.Count)), LeastBins, MostBins));
        ImmutableArray<Tick> edges = Axis.Between(bins.Low, bins.High, bins.Step);
        double stride = Math.Max(bins.Step, Axis.NiceStep((bins.High - bins.Low) / MostTicks));
        var frame = new Frame(
            new Axis(bins.Low, bins.High, false, Axis.Between(
                Math.Ceiling(bins.Low / stride - 1e-9) * stride,
                Math.Floor(bins.High / stride + 1e-9) * stride, stride)),
            Axis.Whole(0, bins.Counts.Max(), 0, 4));
        var drawing = new Drawing(Frame.Width, Frame.Height);
        frame.Draw(drawing, Unit, "channels");
        for (int i = 0; i < bins.Counts.Length; i++)
        {
            if (bins.Counts[i] == 0)
                continue;
            double first = frame.AtX(bins.Edge(i)), last = frame.AtX(bins.Edge(i + 1)), top = frame.AtY(bins.Counts[i]);
            drawing.Box(
                "bar", first + 0.5, top, last - first - 1, frame.AtY(0) - top,
                $"{edges[i].Text} to {edges[i + 1].Text}: {Html.Count(bins.Counts[i], "channel")}");
        }
        return Figure.Of(Title, drawing.ToSvg(
            $"{Title} of {Subject}: {Html.Count(Values.Count, "channel")} from {Html.Number(Values.Min())} to "
            + $"{Html.Number(Values.Max())}, {Html.Number(Values.Average())} on average."));
    }
}

/// <summary>Bins of one width over all values, their edges at round numbers.</summary>
sealed record Bins(double Low, double Step, ImmutableArray<int> Counts)
{
    public double High => Edge(Counts.Length);

    public double Edge(int index) => (Math.Round(Low / Step) + index) * Step;

    public static Bins Of(IReadOnlyList<double> values, int most)
    {
        double low = values.Min(), high = values.Max();
        // Five bins about the one value that all have, or that they differ from by roundings alone.
        if (Axis.AreOne(low, high))
        {
            double width = Axis.NiceStep(Axis.AreOne(0, Math.Abs(low)) ? 0.1 : Math.Abs(low) / 10);
            double middle = Math.Floor(low / width + 1e-6) * width;
            return new Bins(middle - 2 * width, width, [0, 0, values.Count, 0, 0]);
        }
        double step = Axis.NiceStep((high - low) / most);
        double first = Math.Floor(low / step), last = Math.Max(first + 1, Math.Ceiling(high / step));
        int[] counts = new int[(int)(last - first)];
        foreach (double value in values)
            counts[Math.Clamp((int)(Math.Floor(value / step) - first), 0, counts.Length - 1)]++;
        return new Bins(first * step, step, [.. counts]);
    }
}
