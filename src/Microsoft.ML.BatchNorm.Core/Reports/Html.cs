using System.Globalization;
using System.Net;

namespace Microsoft.ML.BatchNorm.Reports;

/// <summary>Text and numbers as a page has them: escaped, and the same in every culture.</summary>
static class Html
{
    public static string Escape(string text) => WebUtility.HtmlEncode(text);

    /// <summary>A number to four digits; powers of ten where it is very large or small.</summary>
    public static string Number(double value) =>
        value == 0 ? "0"
        : Math.Abs(value) is >= 1e-4 and < 1e6 ? value.ToString("G4", CultureInfo.InvariantCulture)
        : double.IsFinite(value) ? value.ToString("0.###e0", CultureInfo.InvariantCulture)
        : double.IsNaN(value) ? "NaN"
        : value > 0 ? "∞" : "−∞";

    public static string Count(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>A number of things, in the singular for one.</summary>
    public static string Count(long value, string noun) => $"{Count(value)} {noun}{(value == 1 ? "" : "s")}";

    public static string Heading(int level, string text) => $"<h{level}>{Escape(text)}</h{level}>\n";

    public static string Paragraph(string text) => $"<p>{Escape(text)}</p>\n";
}
