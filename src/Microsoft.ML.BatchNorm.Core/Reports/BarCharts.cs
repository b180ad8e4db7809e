namespace Microsoft.ML.BatchNorm.Reports.Charts;

/// <summary>One horizontal bar a name, from 0 to its value, one below the other.</summary>
/// <param name="Title">What it shows.</param>
/// <param name="Unit">The title of the axis, with its unit.</param>
/// <param name="Bars">The bars from above; at least one.</param>
/// <param name="Legend">The styles of the bars and their meanings.</param>
sealed record BarChart(
    string Title, string Unit, IReadOnlyList<Bar> Bars, IReadOnlyList<(string Style, string Name)> Legend)
{
    const double RowHeight = 19, Top = 8, MostName = 130, Reserve = 28;

    const int MostTicks = 4;

    public string ToHtml()
    {
        double[] known = [.. Bars.Select(bar => bar.Value).Where(double.IsFinite)];
        double edge = known.Select(Math.Abs).Append(0).Max() is > 0 and var most ? most : 1;
        Axis axis = Axis.Of(
            [0, .. known, .. Bars.Where(bar => double.IsInfinity(bar.Value)).Select(bar => Math.Sign(bar.Value) * edge)],
            MostTicks);
        double names = Bars.Max(bar => TextSize.Width(TextSize.Fit(bar.Name, MostName)));
        double bottom = Top + Bars.Count * RowHeight;
        double left = names + 8 + Reserve, right = Frame.Width - Reserve;
        var drawing = new Drawing(Frame.Width, (int)bottom + 46);
        foreach (Tick tick in axis.Ticks)
        {
            drawing.Line(tick.Value == 0 ? "axis" : "grid", At(tick.Value), Top, At(tick.Value), bottom + 4);
            drawing.Text("tick middle", At(tick.Value), bottom + 20, tick.Text);
        }
        for (int i = 0; i < Bars.Count; i++)
            Draw(drawing, Bars[i], Top + i * RowHeight);
        drawing.Text("title end", Frame.Width - 4, bottom + 39, TextSize.Fit(Unit, Frame.Width - 8));
        return Figure.Of(Title, drawing.ToSvg(
            $"{Title}, {Unit}: " + string.Join("; ", Bars.Select(bar => $"{bar.Name} {Html.Number(bar.Value)}")) + "."),
            Legend);

        double At(double value) => left + axis.Share(value) * (right - left);

        void Draw(Drawing drawing, Bar bar, double y)
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

/// <summary>A bar of a chart; an infinite one goes to the edge, a NaN has none.</summary>
sealed record Bar(string Name, double Value, string Style);
