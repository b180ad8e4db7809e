using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Microsoft.ML.BatchNorm;

/// <summary>A report, which is shown as a page of its own or inside a notebook.</summary>
interface IReport
{
    string Title { get; }

    /// <summary>Everything below the title, as HTML.</summary>
    string Body();
}

/// <summary>A report as one file that loads nothing and runs no script, or as an element of a notebook.</summary>
static class ReportPage
{
    static readonly UTF8Encoding utf8 = new(encoderShouldEmitUTF8Identifier: false);

    public static string Page(IReport report) =>
        $"""
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
        <title>{Html.Escape(report.Title)}</title>
        </head>
        <body style="margin:0">
        {Element(report)}</body>
        </html>

        """;

    public static string Element(IReport report) =>
        $"""
        <main class="bn-report">
        <style>
        {ReportStyle.Css}
        </style>
        <h1>{Html.Escape(report.Title)}</h1>
        {report.Body()}</main>

        """;

    public static void Save(IReport report, Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        stream.Write(utf8.GetBytes(Page(report)));
    }

    public static void Save(IReport report, string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        WholeFile.Write(path, stream => Save(report, stream));
    }
}

/// <summary>
/// The style of reports. It applies only inside their own element, so that it does not change the notebook around them.
/// The theme is that of the notebook, if Visual Studio Code or Jupyter says it, and else that of the system.
/// </summary>
static class ReportStyle
{
    const string Light = """
        --page:#f6f6f3;--card:#ffffff;--ink:#1c1d1f;--soft:#55585e;--rule:#dddeda;--grid:#e9e9e5;
        --phase:#eef1f7;--phase-odd:#f7f1e8;--s1:#1c69ad;--s2:#b84a00;--s3:#24734a;--s4:#6d45a8;--s5:#b0276b;
        --right1:#e2edf7;--right2:#c3d9ee;--right3:#9cc1e3;--wrong1:#f9e6d8;--wrong2:#f3c6a5;--wrong3:#e9a06b;
        """;

    const string Dark = """
        --page:#131417;--card:#1d1f23;--ink:#eceded;--soft:#b0b4bc;--rule:#3a3d43;--grid:#2c2f34;
        --phase:#222a38;--phase-odd:#322a20;--s1:#74b6f5;--s2:#f5a75c;--s3:#7fd0a0;--s4:#c5a3f5;--s5:#f78fbd;
        --right1:#22303f;--right2:#2a4560;--right3:#335d86;--wrong1:#3a2a1e;--wrong2:#5a3b22;--wrong3:#7d4d24;
        """;

    public const string Css = $$"""
        .bn-report{ {{Light}} color-scheme:light;
        background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif;min-height:100vh;
        padding:16px max(clamp(12px,3vw,32px),calc(50% - 620px)) 32px;box-sizing:border-box}
        @media (prefers-color-scheme:dark){.bn-report{ {{Dark}} color-scheme:dark} }
        .vscode-dark .bn-report,[data-jp-theme-light=false] .bn-report{ {{Dark}} color-scheme:dark}
        .vscode-light .bn-report,[data-jp-theme-light=true] .bn-report{ {{Light}} color-scheme:light}
        .bn-report h1{font-size:1.6em;line-height:1.25;margin-top:8px;margin-bottom:16px;overflow-wrap:anywhere}
        .bn-report h2{font-size:1.2em;margin-top:32px;margin-bottom:8px}
        .bn-report p{max-width:52em;margin-top:4px;margin-bottom:12px;color:var(--soft);overflow-wrap:anywhere}
        .bn-report .facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(140px,1fr));gap:8px}
        .bn-report .facts div{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:8px 12px}
        .bn-report dt{color:var(--soft);font-size:.82em}
        .bn-report dd{margin:0;font-weight:600;overflow-wrap:anywhere}
        .bn-report .charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(340px,100%),1fr));gap:12px}
        .bn-report figure{margin:0;min-width:0;background:var(--card);border:1px solid var(--rule);border-radius:8px;
        padding:10px 8px 8px}
        .bn-report figcaption{font-weight:600;padding:0 4px 4px;overflow-wrap:anywhere}
        .bn-report .chart{display:block;width:100%;max-width:560px;height:auto;margin:0 auto;font-size:12px}
        .bn-report .verdict{font-size:1.13em;font-weight:600;color:var(--ink)}
        .bn-report .tall{margin-top:12px}
        .bn-report .tall .wide{max-height:85vh;overflow:auto}
        @media (max-width:900px){.bn-report .tall::before{content:"The table scrolls sideways →";font-size:.87em;
        color:var(--soft)} }
        .bn-report .tall thead th{position:sticky;top:0;background:var(--card);z-index:1}
        .bn-report .tall thead th:first-child{z-index:2}
        .bn-report .charts+.wide,.bn-report .facts+.wide{margin-top:12px}
        .bn-report h3{font-size:1em;margin-top:20px;margin-bottom:8px}
        .bn-report .layer{margin-bottom:16px}
        .bn-report .epochs{margin-top:12px}
        .bn-report .layer .charts{max-width:832px}
        .bn-report summary{font-weight:600;cursor:pointer;padding:4px 0;overflow-wrap:anywhere}
        .bn-report .wide{overflow-x:auto;width:fit-content;max-width:100%;box-sizing:border-box;
        background:linear-gradient(to left,var(--card) 40%,transparent) right/40px 100% no-repeat local,
        linear-gradient(to left,var(--rule),transparent) right/14px 100% no-repeat,var(--card);
        border:1px solid var(--rule);border-radius:8px}
        .bn-report table{border-collapse:collapse;background:none;margin:0;font-size:.92em}
        .bn-report th,.bn-report td{padding:6px 12px;text-align:left;white-space:nowrap;background:none;color:inherit;
        border:0;border-bottom:1px solid var(--rule)}
        .bn-report tbody tr:last-child>*{border-bottom:0}
        .bn-report thead th,.bn-report tbody th{white-space:normal;overflow-wrap:break-word;max-width:min(18em,40vw)}
        .bn-report thead th{vertical-align:bottom}
        .bn-report tbody th,.bn-report thead th:first-child{position:sticky;left:0;background:var(--card)}
        .bn-report th{font-weight:600}
        .bn-report thead th{color:var(--soft)}
        .bn-report .number.number{text-align:right;font-variant-numeric:tabular-nums}
        .bn-report td.right1{background:var(--right1)}.bn-report td.wrong1{background:var(--wrong1)}
        .bn-report td.right2{background:var(--right2)}.bn-report td.wrong2{background:var(--wrong2)}
        .bn-report td.right3{background:var(--right3)}.bn-report td.wrong3{background:var(--wrong3)}
        .bn-report .legend{display:flex;flex-wrap:wrap;gap:2px 16px;list-style:none;margin:4px 0 0;padding:0 4px;
        font-size:.87em;color:var(--soft);overflow-wrap:anywhere}
        .bn-report .legend li{display:flex;align-items:center;gap:6px;margin:0}
        .bn-report .key{width:24px;height:10px;flex:none}
        .bn-report text{fill:var(--soft);font-variant-numeric:tabular-nums}
        .bn-report text.title{fill:var(--ink)}
        .bn-report text.end{text-anchor:end}
        .bn-report text.middle{text-anchor:middle}
        .bn-report .grid{stroke:var(--grid)}
        .bn-report .axis{stroke:var(--soft)}
        .bn-report .phase{fill:var(--phase)}
        .bn-report .phase.odd{fill:var(--phase-odd)}
        .bn-report .strip{fill:transparent}.bn-report .strip:hover{fill:var(--soft);fill-opacity:.12}
        .bn-report .boundary{stroke:var(--soft);stroke-dasharray:2 3}
        .bn-report .best{stroke:var(--ink);stroke-dasharray:1 3;stroke-width:1.6}
        .bn-report .bar{fill:var(--s1)}.bn-report .bar.drifted{fill:var(--s2)}
        .bn-report .bar.now{fill:var(--s2);stroke:var(--card)}
        .bn-report .line.kept{stroke:var(--s1);stroke-width:8}.bn-report .line.drifted{stroke:var(--s2);stroke-width:8}
        .bn-report .line{fill:none;stroke-width:2;stroke-linejoin:round}
        .bn-report .line.best{stroke-width:1.6}
        .bn-report .s1{stroke:var(--s1)}.bn-report .marker.s1{fill:var(--s1)}
        .bn-report .s2{stroke:var(--s2)}.bn-report .line.s2{stroke-dasharray:7 3}.bn-report .marker.s2{fill:var(--s2)}
        .bn-report .s3{stroke:var(--s3)}.bn-report .marker.s3{fill:var(--s3)}
        .bn-report .s4{stroke:var(--s4)}.bn-report .marker.s4{fill:var(--s4)}
        .bn-report .s5{stroke:var(--s5)}.bn-report .line.s5{stroke-dasharray:7 3}.bn-report .marker.s5{fill:var(--s5)}
        @media print{.bn-report figure,.bn-report table{break-inside:avoid} .bn-report .tall .wide{max-height:none} }
        """;
}

/// <summary>
/// Names the class whose formatters show an object in a notebook. .NET Interactive looks for an attribute of this name
/// in every assembly and reads these properties by reflection, so that a library needs no reference to it.
/// </summary>
[AttributeUsage(AttributeTargets.Class)]
sealed class TypeFormatterSourceAttribute(
    [DynamicallyAccessedMembers(
        DynamicallyAccessedMemberTypes.PublicParameterlessConstructor | DynamicallyAccessedMemberTypes.PublicMethods)]
    Type formatterSourceType) : Attribute
{
    public Type FormatterSourceType => formatterSourceType;

    public string[] PreferredMimeTypes { get; } = [NotebookFormatterSource.Html];
}

/// <summary>The class that the attribute names. .NET Interactive creates one and calls its method by name.</summary>
sealed class NotebookFormatterSource
{
    public const string Html = "text/html";

    readonly NotebookFormatter formatter = new(Html, ReportPage.Element);

    public IEnumerable<object> CreateTypeFormatters() => [formatter];
}

/// <summary>Shows a report in a notebook; .NET Interactive calls its members by name.</summary>
sealed class NotebookFormatter(string mimeType, Func<IReport, string> render)
{
    public string MimeType => mimeType;

    public bool Format(object instance, TextWriter writer)
    {
        if (instance is not IReport report)
            return false;
        writer.Write(render(report));
        return true;
    }
}
