using System.Globalization;
using System.Net;
using System.Reflection;
using System.Text;

namespace Microsoft.ML.BatchNorm;

/// <summary>Text and numbers for a page: escaped, and the same in every culture.</summary>
static class Html
{
    /// <summary>
    /// The text for a page. Characters that would not be seen, or that would turn the text around them, are shown as
    /// their code: a name from a file cannot pretend to be another one.
    /// </summary>
    public static string Escape(string text)
    {
        text = WebUtility.HtmlEncode(text);
        return text.Any(IsHidden) ? string.Concat(text.Select(Shown)) : text;

        static string Shown(char letter) => IsHidden(letter) ? $"\\u{(int)letter:X4}" : $"{letter}";
    }

    /// <summary>
    /// Whether a character controls the text or its direction, or has no shape of its own. Joiners are parts of letters.
    /// </summary>
    static bool IsHidden(char letter) => letter is not ('\n' or '\u200C' or '\u200D') && CharUnicodeInfo.GetUnicodeCategory(letter) is
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator
        or UnicodeCategory.ParagraphSeparator;

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
