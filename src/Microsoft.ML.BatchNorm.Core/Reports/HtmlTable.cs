using System.Globalization;
using System.Text;

namespace Microsoft.ML.BatchNorm.Reports;

/// <summary>A table that scrolls sideways by itself where the screen is narrow. Numbers stand at the right.</summary>
sealed class HtmlTable(string label, params string[] titles)
{
    /// <summary>What a cell holds that has nothing to say.</summary>
    public const string None = "–";

    readonly List<string[]> rows = [];

    /// <summary>The first cell heads the row.</summary>
    public void Add(params string[] cells) => rows.Add(cells);

    public override string ToString()
    {
        bool[] numbers = [.. titles.Select((_, column) => rows.All(row => IsNumber(row[column])))];
        var html = new StringBuilder(
            $"<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"{Html.Escape(label)}\"><table>\n<thead>");
        Append(titles, _ => "th scope=\"col\"");
        html.Append("</thead>\n<tbody>\n");
        foreach (string[] row in rows)
            Append(row, column => column == 0 ? "th scope=\"row\"" : "td");
        return html.Append("</tbody></table></div>\n").ToString();

        void Append(string[] cells, Func<int, string> tag)
        {
            html.Append("<tr>");
            for (int i = 0; i < cells.Length; i++)
            {
                html.Append($"<{tag(i)}{(numbers[i] ? " class=\"number\"" : "")}>");
                html.Append($"{Html.Escape(cells[i])}</{tag(i)[..2]}>");
            }
            html.Append("</tr>\n");
        }
    }

    static bool IsNumber(string cell) =>
        cell is None or "∞" or "−∞" || double.TryParse(cell, NumberStyles.Any, CultureInfo.InvariantCulture, out _);
}
