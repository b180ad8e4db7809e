using System.Text;

namespace Microsoft.ML.BatchNorm.Reports;

/// <summary>A table that scrolls sideways by itself where the screen is narrow. Numbers stand at the right.</summary>
sealed class HtmlTable(string label, params string[] titles)
{
    readonly StringBuilder rows = new();

    /// <summary>The first cell heads the row.</summary>
    public void Add(params string[] cells)
    {
        rows.Append("<tr>");
        for (int i = 0; i < cells.Length; i++)
        {
            string tag = i == 0 ? "th scope=\"row\"" : IsNumber(cells[i]) ? "td class=\"number\"" : "td";
            rows.Append($"<{tag}>{Html.Escape(cells[i])}</{tag[..2]}>");
        }
        rows.Append("</tr>\n");
    }

    public override string ToString() =>
        $"<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"{Html.Escape(label)}\"><table>\n<thead><tr>"
        + string.Concat(titles.Select(title => $"<th scope=\"col\">{Html.Escape(title)}</th>"))
        + $"</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n";

    static bool IsNumber(string cell) => cell.Length > 0 && (char.IsAsciiDigit(cell[0]) || cell is ['-', _, ..]);
}
