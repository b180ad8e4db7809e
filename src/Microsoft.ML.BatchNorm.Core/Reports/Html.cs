using System.Globalization;
using System.Net;
using System.Reflection;
using System.Text;

namespace Microsoft.ML.BatchNorm;

/// <summary>Text and numbers for a page: escaped, and the same in every culture.</summary>
static class Html
{
    public static string Escape(string text) => WebUtility.HtmlEncode(Visible(text));

    /// <summary>
    /// The text with the codes of the characters that would not be seen, or that would turn or break the text around
    /// them: a name from a file cannot pretend to be another one. Joiners stay, since they shape letters.
    /// </summary>
    public static string Visible(string text)
    {
        return text.EnumerateRunes().Any(IsHidden) ? string.Concat(text.EnumerateRunes().Select(Shown)) : text;

        static bool IsHidden(Rune rune) => rune.Value is not (0x200C or 0x200D) && Rune.GetUnicodeCategory(rune) is
            UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator
            or UnicodeCategory.ParagraphSeparator;

        static string Shown(Rune rune) => !IsHidden(rune) ? rune.ToString()
            : rune.IsBmp ? $"\\u{rune.Value:X4}" : $"\\U{rune.Value:X8}";
    }

    /// <summary>
    /// A number with four digits, and the others before its point, or with a power of ten if it is very large or very
    /// small.
    /// </summary>
    public static string Number(double value) =>
        value == 0 ? "0"
        : Math.Abs(value) is >= 999.95 and < 999_999.5 ? value.ToString("0", CultureInfo.InvariantCulture)
        : Math.Abs(value) is >= 1e-4 and < 1e6 ? value.ToString("G4", CultureInfo.InvariantCulture)
        : double.IsFinite(value) ? value.ToString("0.###e0", CultureInfo.InvariantCulture)
        : double.IsNaN(value) ? "NaN"
        : value > 0 ? "∞" : "−∞";

    public static string Count(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>A number and its noun, which is in the singular for 1.</summary>
    public static string Count(long value, string noun) => $"{Count(value)} {noun}{(value == 1 ? "" : "s")}";

    public static string Heading(int level, string text) => $"<h{level}>{Escape(text)}</h{level}>\n";

    public static string Paragraph(string text) => $"<p>{Escape(text)}</p>\n";

    /// <summary>A time of day in UTC.</summary>
    public static string Time(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);

    /// <summary>How long something took, with two or three digits.</summary>
    public static string Duration(TimeSpan time) => time.TotalSeconds switch
    {
        < 1 => $"{Number(Math.Round(time.TotalMilliseconds))} ms",
        < 100 => string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.0} s"),
        < 6_000 => string.Create(CultureInfo.InvariantCulture, $"{time.TotalMinutes:0.0} min"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{time.TotalHours:0.0} h"),
    };

    /// <summary>The version of this library.</summary>
    public static string Version { get; } =
        typeof(Html).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion
            .Split('+')[0];

    /// <summary>Short facts, side by side.</summary>
    public static string Facts(IEnumerable<(string Name, string Value)> facts) =>
        "<dl class=\"facts\">\n"
        + string.Concat(facts.Select(
            fact => $"<div><dt>{Escape(fact.Name)}</dt><dd>{Escape(fact.Value)}</dd></div>\n"))
        + "</dl>\n";
}

/// <summary>
/// A table, as HTML that scrolls sideways on a narrow screen or as plain text. Columns of numbers are aligned to the
/// right.
/// </summary>
sealed class HtmlTable(string label, params string[] titles)
{
    /// <summary>The text of a cell without a value.</summary>
    public const string None = "–";

    readonly List<(string[] Cells, Func<int, string> Style)> rows = [];

    /// <summary>Adds a row; its first cell is its header.</summary>
    public void Add(params string[] cells) => rows.Add((cells, _ => ""));

    /// <summary>Adds a row whose cells have classes; an empty class is none.</summary>
    public void Add(string[] cells, Func<int, string> style) => rows.Add((cells, style));

    public override string ToString()
    {
        bool[] numbers = Numbers();
        var html = new StringBuilder(
            $"<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"{Html.Escape(label)}\"><table>\n<thead>");
        Append(titles, _ => "th scope=\"col\"", _ => "");
        html.Append("</thead>\n<tbody>\n");
        foreach ((string[] cells, Func<int, string> style) in rows)
            Append(cells, column => column == 0 ? "th scope=\"row\"" : "td", style);
        return html.Append("</tbody></table></div>\n").ToString();

        void Append(string[] cells, Func<int, string> tag, Func<int, string> style)
        {
            html.Append("<tr>");
            for (int i = 0; i < cells.Length; i++)
            {
                string classes = $"{(numbers[i] ? "number " : "")}{style(i)}".TrimEnd();
                html.Append($"<{tag(i)}{(classes == "" ? "" : $" class=\"{classes}\"")}>");
                html.Append($"{Html.Escape(cells[i])}</{tag(i)[..2]}>");
            }
            html.Append("</tr>\n");
        }
    }

    /// <summary>The table in plain text, with a line feed at the end of each line.</summary>
    public string ToText()
    {
        bool[] numbers = Numbers();
        string[][] lines = [.. rows.Select(row => row.Cells).Prepend(titles).Select(
            cells => Array.ConvertAll(cells, Html.Visible))];
        int[] widths = [.. titles.Select((_, column) => lines.Max(line => line[column].Length))];
        return string.Concat(lines.Select(line => string.Join("  ", line.Select((cell, column) =>
            numbers[column] ? cell.PadLeft(widths[column]) : cell.PadRight(widths[column]))).TrimEnd() + "\n"));
    }

    bool[] Numbers() => [.. titles.Select((_, column) => rows.All(row => IsNumber(row.Cells[column])))];

    static bool IsNumber(string cell) =>
        cell is None or "∞" or "−∞" || double.TryParse(cell, NumberStyles.Any, CultureInfo.InvariantCulture, out _);
}
