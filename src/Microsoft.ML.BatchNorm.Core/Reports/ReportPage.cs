using System.Text;
using Microsoft.ML.BatchNorm.Persistence;

namespace Microsoft.ML.BatchNorm.Reports;

/// <summary>A report as one file that needs no other and runs no script, or as an element among others.</summary>
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
