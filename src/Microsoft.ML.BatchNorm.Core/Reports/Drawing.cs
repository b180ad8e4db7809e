using System.Globalization;
using System.Text;

namespace Microsoft.ML.BatchNorm;

/// <summary>Inline SVG. A unit is a pixel if the chart has its natural width.</summary>
sealed class Drawing(int width, int height)
{
    readonly StringBuilder text = new();

    public void Line(string style, double x1, double y1, double x2, double y2) =>
        Append($"<line class=\"{style}\" x1=\"{x1:0.##}\" y1=\"{y1:0.##}\" x2=\"{x2:0.##}\" y2=\"{y2:0.##}\"/>");

    /// <param name="style">The class.</param>
    /// <param name="x">The center's horizontal position.</param>
    /// <param name="y">The center's vertical position.</param>
    /// <param name="radius">The radius.</param>
    /// <param name="title">The tooltip; empty for none.</param>
    public void Circle(string style, double x, double y, double radius, string title = "")
    {
        Append($"<circle class=\"{style}\" cx=\"{x:0.##}\" cy=\"{y:0.##}\" r=\"{radius:0.##}\"");
        End("circle", title);
    }

    /// <param name="style">The class.</param>
    /// <param name="x">The left edge.</param>
    /// <param name="y">The upper edge.</param>
    /// <param name="width">The width.</param>
    /// <param name="height">The height.</param>
    /// <param name="title">The tooltip, in lines; empty for none.</param>
    public void Box(string style, double x, double y, double width, double height, string title = "")
    {
        Append($"<rect class=\"{style}\" x=\"{x:0.##}\" y=\"{y:0.##}\" width=\"{width:0.##}\"");
        Append($" height=\"{height:0.##}\"");
        End("rect", title);
    }

    public void Polyline(string style, IEnumerable<(double X, double Y)> points)
    {
        text.Append($"<polyline class=\"{style}\" points=\"");
        text.AppendJoin(' ', points.Select(
            point => string.Create(CultureInfo.InvariantCulture, $"{point.X:0.##},{point.Y:0.##}")));
        text.Append("\"/>");
    }

    /// <param name="style">The class, which also says whether the text starts, ends or is centered at x.</param>
    /// <param name="x">The horizontal position.</param>
    /// <param name="y">The base line.</param>
    /// <param name="words">The text.</param>
    public void Text(string style, double x, double y, string words)
    {
        Append($"<text class=\"{style}\" x=\"{x:0.##}\" y=\"{y:0.##}\">");
        text.Append(Html.Escape(words)).Append("</text>");
    }

    /// <param name="label">A description for readers who cannot see the chart.</param>
    public string ToSvg(string label) => string.Create(
        CultureInfo.InvariantCulture,
        $"<svg class=\"chart\" viewBox=\"0 0 {width} {height}\" role=\"img\" ")
        + $"aria-label=\"{Html.Escape(label)}\">{text}</svg>";

    void End(string tag, string title) => text.Append(title.Length == 0
        ? "/>"
        : $"><title>{string.Join('\n', title.Split('\n').Select(Html.Escape))}</title></{tag}>");

    void Append(FormattableString markup) => text.Append(markup.ToString(CultureInfo.InvariantCulture));
}

/// <summary>A chart with its title above and its legend below.</summary>
static class Figure
{
    public static string Of(string title, string svg, params IReadOnlyList<(string Style, string Name)> legend) =>
        $"<figure><figcaption>{Html.Escape(title)}</figcaption>{svg}"
        + (legend.Count == 0 ? "" : $"<ul class=\"legend\">{string.Concat(legend.Select(Entry))}</ul>")
        + "</figure>\n";

    public static string Grid(IEnumerable<string> figures) =>
        $"<div class=\"charts\">\n{string.Concat(figures)}</div>\n";

    static string Entry((string Style, string Name) entry) =>
        "<li><svg class=\"key\" viewBox=\"0 0 24 10\" aria-hidden=\"true\">"
        + $"<line class=\"line {entry.Style}\" x1=\"1\" y1=\"5\" x2=\"23\" y2=\"5\"/></svg>"
        + $"{Html.Escape(entry.Name)}</li>";
}

/// <summary>
/// The greatest width that a text is likely to have. The page is laid out before its font is known, so these are the
/// widths of wide fonts.
/// </summary>
static class TextSize
{
    const double Latin = 7.7, Capital = 9.5, Wide = 13;

    public static double Width(string text) => Html.Visible(text).EnumerateRunes().Sum(Width);

    /// <summary>The text, cut to a width with an ellipsis; empty if there is no room for two letters.</summary>
    public static string Fit(string text, double width)
    {
        text = Html.Visible(text);
        if (Width(text) <= width)
            return text;
        var cut = new StringBuilder();
        double left = width - Width(new Rune('…'));
        int kept = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            if ((left -= Width(rune)) < 0)
                break;
            cut.Append(rune);
            kept++;
        }
        return kept < 2 ? "" : $"{cut}…";
    }

    static double Width(Rune rune) => rune.Value switch
    {
        0x2026 => Latin * 1.4,
        'm' or 'w' or 'M' or 'W' or '@' or '%' or >= 0x1100 => Wide,
        _ => Rune.IsUpper(rune) ? Capital : Latin,
    };
}

/// <summary>The plot of a chart: the position of its axes, with their ticks and titles.</summary>
sealed class ChartFrame
{
    /// <summary>
    /// The width of a phone's screen, so that the text has about its natural size there.
    /// </summary>
    public const int Width = 380, Height = 232;

    public const double Bottom = 188;

    const double TitleHeight = 28;

    readonly double left, right;

    /// <param name="x">The horizontal axis.</param>
    /// <param name="y">The vertical axis.</param>
    /// <param name="strip">The height of the strip above the plot that names its parts.</param>
    public ChartFrame(ChartAxis x, ChartAxis y, double strip = 0)
    {
        X = x;
        Y = y;
        Top = TitleHeight + strip;
        left = Math.Max(10 + y.Ticks.Max(tick => TextSize.Width(tick.Text)), Half(x.Ticks[0]));
        right = Width - Math.Max(10, Half(x.Ticks[^1]));

        static double Half(ChartTick tick) => TextSize.Width(tick.Text) / 2 + 1;
    }

    public ChartAxis X { get; }

    public ChartAxis Y { get; }

    public double Top { get; }

    public double AtX(double value) => left + X.Share(value) * (right - left);

    public double AtY(double value) => Bottom - Y.Share(value) * (Bottom - Top);

    /// <summary>Draws the axes, the grid and the titles, which are behind the data.</summary>
    public void Draw(Drawing drawing, string xTitle, string yTitle)
    {
        drawing.Text("title", 2, 14, TextSize.Fit(Y.IsLogarithmic ? $"{yTitle}, log scale" : yTitle, Width - 4));
        foreach (ChartTick tick in Y.Ticks)
        {
            drawing.Line("grid", left, AtY(tick.Value), right, AtY(tick.Value));
            drawing.Text("tick end", left - 5, AtY(tick.Value) + 4, tick.Text);
        }
        drawing.Line("axis", left, Bottom, right, Bottom);
        double free = double.NegativeInfinity;
        foreach (ChartTick tick in X.Ticks)
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
