using System.Text;

namespace Microsoft.ML.BatchNorm.Reports.Charts;

/// <summary>
/// How wide a text may be, for a page that is laid out before anyone knows its font: the widths of wide faces.
/// </summary>
static class TextSize
{
    const double Latin = 7.7, Capital = 9.5, Wide = 13;

    public static double Width(string text) => text.EnumerateRunes().Sum(Width);

    /// <summary>The text, cut with an ellipsis to a width; empty where not even two letters have room.</summary>
    public static string Fit(string text, double width)
    {
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
