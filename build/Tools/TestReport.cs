using System.Xml.Linq;

namespace Tools;

/// <summary>What a TRX file says about a run.</summary>
sealed class TestReport
{
    static readonly XNamespace Trx = "http://microsoft.com/schemas/VisualStudio/TeamTest/2010";

    readonly XElement[] results = [];

    /// <param name="path">The file; where it does not exist, nothing ran.</param>
    public TestReport(string path)
    {
        if (!File.Exists(path))
            return;
        XDocument xml = XDocument.Load(path);
        // A test of several rows is one result with inner ones; the rows are what is counted.
        results = [.. xml.Descendants(Trx + "UnitTestResult").Where(result => result.Element(Trx + "InnerResults") is null)];
    }

    public TestCounts Counts =>
        new(results.Count(IsPassed), results.Count(IsFailed), results.Count(IsSkipped));

    /// <summary>Each failed test: its name, its message and where it failed.</summary>
    public IEnumerable<string> Failures => results.Where(IsFailed).Select(result =>
    {
        XElement? error = result.Descendants(Trx + "ErrorInfo").FirstOrDefault();
        string message = error?.Element(Trx + "Message")?.Value.Trim() ?? "no message";
        string? place = error?.Element(Trx + "StackTrace")?.Value.Split('\n')
            .FirstOrDefault(line => line.Contains(" in ", StringComparison.Ordinal))?.Trim();
        string text = place is null ? message : $"{message}\n{place}";
        return $"failed: {result.Attribute("testName")?.Value}\n    {text.ReplaceLineEndings("\n    ")}";
    });

    static bool IsPassed(XElement result) => Outcome(result) is "Passed" or "PassedButRunAborted" or "Warning";

    static bool IsSkipped(XElement result) => Outcome(result) is "NotExecuted" or "Inconclusive" or "NotRunnable" or "Pending";

    static bool IsFailed(XElement result) => !IsPassed(result) && !IsSkipped(result);

    static string? Outcome(XElement result) => result.Attribute("outcome")?.Value;
}
