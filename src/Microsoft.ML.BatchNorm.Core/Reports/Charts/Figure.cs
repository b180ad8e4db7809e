namespace Microsoft.ML.BatchNorm.Reports.Charts;

/// <summary>A chart under its title, above its legend.</summary>
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
