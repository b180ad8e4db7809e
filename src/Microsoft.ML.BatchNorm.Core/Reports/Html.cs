using System.Globalization;
using System.Net;
using System.Text;

namespace Microsoft.ML.BatchNorm;

/// <summary>Text and numbers for a page: escaped, and the same in every culture.</summary>
static class Html
{
    public static string Escape(string text) => WebUtility.HtmlEncode(text);

    /// <summary>A number with four digits, and with a power of ten if it is very large or very small.</summary>
    public static string Number(double value) =>
        value == 0 ? "0"
        : Math.Abs(value) is >= 1e-4 and < 1e6 ? value.ToString("G4", CultureInfo.InvariantCulture)
        : double.IsFinite(value) ? value.ToString("0.###e0", CultureInfo.InvariantCulture)
        : double.IsNaN(value) ? "NaN"
        : value > 0 ? "∞" : "−∞";

    public static string Count(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>A number and its noun, which is in the singular for 1.</summary>
    public static string Count(long value, string noun) => $"{Count(value)} {noun}{(value == 1 ? "" : "s")}";

    public static string Heading(int level, string text) => $"<h{level}>{Escape(text)}</h{level}>\n";

    public static string Paragraph(string text) => $"<p>{Escape(text)}</p>\n";

    /// <summary>Short facts, side by side.</summary>
    public static string Facts(IEnumerable<(string Name, string Value)> facts) =>
        "<dl class=\"facts\">\n"
        + string.Concat(facts.Select(
            fact => $"<div><dt>{Escape(fact.Name)}</dt><dd>{Escape(fact.Value)}</dd></div>\n"))
        + "</dl>\n";
}

/// <summary>A table that scrolls sideways on a narrow screen. Columns of numbers are aligned to the right.</summary>
sealed class HtmlTable(string label, params string[] titles)
{
    /// <summary>The text of a cell without a value.</summary>
    public const string None = "–";

    readonly List<string[]> rows = [];

    /// <summary>Adds a row; its first cell is its header.</summary>
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
