namespace Microsoft.ML.BatchNorm.Reports.Charts;

/// <summary>The plot of a chart: where its axes stand, their ticks and titles.</summary>
sealed class Frame
{
    /// <summary>
    /// As wide as a phone's screen, so that the text of a chart that fills it has about its natural size.
    /// </summary>
    public const int Width = 380, Height = 232;

    public const double Bottom = 188;

    const double TitleHeight = 28;

    readonly double left, right;

    /// <param name="x">The horizontal axis.</param>
    /// <param name="y">The vertical axis.</param>
    /// <param name="strip">The height of a strip above the plot, for names of its parts.</param>
    public Frame(Axis x, Axis y, double strip = 0)
    {
        X = x;
        Y = y;
        Top = TitleHeight + strip;
        left = Math.Max(10 + y.Ticks.Max(tick => TextSize.Width(tick.Text)), Half(x.Ticks[0]));
        right = Width - Math.Max(10, Half(x.Ticks[^1]));

        static double Half(Tick tick) => TextSize.Width(tick.Text) / 2 + 1;
    }

    public Axis X { get; }

    public Axis Y { get; }

    public double Top { get; }

    public double AtX(double value) => left + X.Share(value) * (right - left);

    public double AtY(double value) => Bottom - Y.Share(value) * (Bottom - Top);

    /// <summary>Draws what is behind the data.</summary>
    public void Draw(Drawing drawing, string xTitle, string yTitle)
    {
        drawing.Text("title", 2, 14, TextSize.Fit(Y.IsLogarithmic ? $"{yTitle}, log scale" : yTitle, Width - 4));
        foreach (Tick tick in Y.Ticks)
        {
            drawing.Line("grid", left, AtY(tick.Value), right, AtY(tick.Value));
            drawing.Text("tick end", left - 5, AtY(tick.Value) + 4, tick.Text);
        }
        drawing.Line("axis", left, Bottom, right, Bottom);
        double free = double.NegativeInfinity;
        foreach (Tick tick in X.Ticks)
        {
            double half = TextSize.Width(tick.Text) / 2, at = AtX(tick.Value);
            drawing.Line("axis", at, Bottom, at, Bottom + 4);
            if (at - half < free)
                continue;
            drawing.Text("tick middle", at, Bottom + 20, tick.Text);
            free = at + half + 6;
        }
        drawing.Text("title end", right, Bottom + 38, TextSize.Fit(xTitle, Width - 4));
    }
}
