using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Microsoft.ML.BatchNorm.Tests.Reports;

/// <summary>What a browser makes of a page in a frame of some width; texts say where something is wrong.</summary>
/// <param name="Width">The width of the frame in pixels.</param>
/// <param name="Dark">Whether the page was in its dark theme.</param>
/// <param name="Charts">The number of charts.</param>
/// <param name="Empty">The charts without a line, a marker or a bar that can be seen.</param>
/// <param name="Overlaps">The pairs of texts that cover each other.</param>
/// <param name="Outside">What stands outside its chart.</param>
/// <param name="Faint">Texts under a contrast of 4.5, drawings under 3 (WCAG 2.1).</param>
/// <param name="Overflow">By how many pixels the page is wider than its frame.</param>
/// <param name="SmallestText">The least size of a chart's text in pixels.</param>
sealed partial record Measured(
    int Width, bool Dark, int Charts, string[] Empty, string[] Overlaps, string[] Outside, string[] Faint,
    double Overflow, double SmallestText)
{
    static readonly JsonSerializerOptions json = new() { PropertyNameCaseInsensitive = true };

    /// <summary>Every page at every width, with its details open, in the order of pages, then widths.</summary>
    public static Measured[] Of(string browser, bool dark, IEnumerable<string> pages, params int[] widths)
    {
        IEnumerable<string> frames = pages.SelectMany(page => widths.Select(width =>
            $"<iframe style=\"border:0;width:{width}px;height:900px\" "
            + $"srcdoc=\"{WebUtility.HtmlEncode(page.Replace("<details ", "<details open "))}\"></iframe>"));
        string script = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Reports", "measure.js"));
        string harness =
            $"<!DOCTYPE html><meta charset=\"utf-8\"><body>{string.Concat(frames)}<pre></pre><script>{script}</script>";
        string markup = Browser.Run(browser, harness, dark);
        Match found = Result().Match(markup);
        Assert.IsTrue(
            found.Success,
            $"The browser measured nothing; its page ends with {markup[^Math.Min(500, markup.Length)..]}");
        return JsonSerializer.Deserialize<Measured[]>(WebUtility.HtmlDecode(found.Groups[1].Value), json)!;
    }

    [GeneratedRegex("<pre>(\\[.*?\\])</pre>", RegexOptions.Singleline)]
    private static partial Regex Result();
}
