namespace Microsoft.ML.BatchNorm.Reports.Charts;

/// <summary>The plot of a chart: where its axes stand, their ticks and titles.</summary>
sealed class Frame
{
    /// <summary>
    /// As wide as a phone's screen, so that the text of a chart that fills it has about its natural size.
    /// </summary>
    public const int Width = 380, Height = 230;

    public const double Top = 26, Bottom = 186;

    const double Right = 368;

    readonly double left;

    public Frame(Axis x, Axis y)
    {
        X = x;
        Y = y;
        left = 10 + y.Ticks.Max(tick => TextSize.Width(tick.Text));
    }

    public Axis X { get; }

    public Axis Y { get; }

    public double AtX(double value) => left + X.Share(value) * (Right - left);

    public double AtY(double value) => Bottom - Y.Share(value) * (Bottom - Top);

    /// <summary>Draws what is behind the data.</summary>
    public void Draw(Drawing drawing, string xTitle, string yTitle)
    {
        drawing.Text("title", 2, 14, TextSize.Fit(Y.IsLogarithmic ? $"{yTitle}, log scale" : yTitle, Width - 4));
        foreach (Tick tick in Y.Ticks)
        {
            drawing.Line("grid", left, AtY(tick.Value), Right, AtY(tick.Value));
            drawing.Text("tick end", left - 5, AtY(tick.Value) + 4, tick.Text);
        }
        drawing.Line("axis", left, Bottom, Right, Bottom);
        double free = double.NegativeInfinity;
        foreach (Tick tick in X.Ticks)
        {
            double half = TextSize.Width(tick.Text) / 2, at = AtX(tick.Value);
            drawing.Line("axis", at, Bottom, at, Bottom + 4);
            if (at - half < free || at + half > Width)
                continue;
            drawing.Text("tick middle", at, Bottom + 17, tick.Text);
            free = at + half + 6;
        }
        drawing.Text("title end", Right, Bottom + 36, TextSize.Fit(xTitle, Width - 4));
    }
}
