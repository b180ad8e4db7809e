using System.Globalization;
using System.Text;

namespace Microsoft.ML.BatchNorm.Reports.Charts;

/// <summary>Inline SVG, in units that are pixels where a chart has its natural width.</summary>
sealed class Drawing(int width, int height)
{
    readonly StringBuilder text = new();

    public int Width => width;

    public int Height => height;

    public void Line(string style, double x1, double y1, double x2, double y2) =>
        Append($"<line class=\"{style}\" x1=\"{x1:0.##}\" y1=\"{y1:0.##}\" x2=\"{x2:0.##}\" y2=\"{y2:0.##}\"/>");

    public void Circle(string style, double x, double y, double radius) =>
        Append($"<circle class=\"{style}\" cx=\"{x:0.##}\" cy=\"{y:0.##}\" r=\"{radius:0.##}\"/>");

    /// <param name="style">Its class.</param>
    /// <param name="x">Its left edge.</param>
    /// <param name="y">Its upper edge.</param>
    /// <param name="width">Its width.</param>
    /// <param name="height">Its height.</param>
    /// <param name="title">What a pointer that rests on it reads; empty for nothing.</param>
    public void Box(string style, double x, double y, double width, double height, string title = "")
    {
        Append($"<rect class=\"{style}\" x=\"{x:0.##}\" y=\"{y:0.##}\" width=\"{width:0.##}\"");
        Append($" height=\"{height:0.##}\"");
        text.Append(title.Length == 0 ? "/>" : $"><title>{Html.Escape(title)}</title></rect>");
    }

    public void Polyline(string style, IEnumerable<(double X, double Y)> points)
    {
        text.Append($"<polyline class=\"{style}\" points=\"");
        text.AppendJoin(' ', points.Select(
            point => string.Create(CultureInfo.InvariantCulture, $"{point.X:0.##},{point.Y:0.##}")));
        text.Append("\"/>");
    }

    /// <param name="style">Its class, which also says which end of the text stands at x.</param>
    /// <param name="x">Where it stands.</param>
    /// <param name="y">Its base line.</param>
    /// <param name="words">The text itself.</param>
    public void Text(string style, double x, double y, string words)
    {
        Append($"<text class=\"{style}\" x=\"{x:0.##}\" y=\"{y:0.##}\">");
        text.Append(Html.Escape(words)).Append("</text>");
    }

    /// <param name="label">What someone who does not see the chart is told.</param>
    public string ToSvg(string label) => string.Create(
        CultureInfo.InvariantCulture,
        $"<svg class=\"chart\" viewBox=\"0 0 {width} {height}\" role=\"img\" ")
        + $"aria-label=\"{Html.Escape(label)}\">{text}</svg>";

    void Append(FormattableString markup) => text.Append(markup.ToString(CultureInfo.InvariantCulture));
}
