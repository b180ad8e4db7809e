using System.Xml.Linq;

namespace Tools;

/// <summary>What a TRX file says about a run.</summary>
sealed class TestReport
{
    static readonly XNamespace Trx = "http://microsoft.com/schemas/VisualStudio/TeamTest/2010";

    readonly XElement[] results = [];
    readonly Dictionary<string, string> classes = [];

    /// <param name="path">The file; where it does not exist, nothing ran.</param>
    public TestReport(string path)
    {
        if (!File.Exists(path))
            return;
        XDocument xml = XDocument.Load(path);
        // A test of several rows is one result with inner ones; the rows are what is counted.
        results =
            [.. xml.Descendants(Trx + "UnitTestResult").Where(result => result.Element(Trx + "InnerResults") is null)];
        classes = xml.Descendants(Trx + "UnitTest").ToDictionary(
            test => test.Attribute("id")!.Value,
            test => test.Element(Trx + "TestMethod")!.Attribute("className")!.Value);
        HasErrors = xml.Descendants(Trx + "RunInfo").Any(info => info.Attribute("outcome")?.Value == "Error");
    }

    /// <summary>Whether something went wrong outside any test, such as a test process that crashed.</summary>
    public bool HasErrors { get; }

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
        return $"failed: {Name(result)}\n    {text.ReplaceLineEndings("\n    ")}";
    });

    /// <summary>Why tests were skipped, with how many for each reason.</summary>
    public IEnumerable<string> Skips => results.Where(IsSkipped).GroupBy(Reason)
        .Where(group => group.Key.Length > 0).Select(group => $"skipped {group.Count()}: {group.Key}");

    static string Reason(XElement result)
    {
        const string Prefix = "Assert.Inconclusive failed.";
        string message = result.Descendants(Trx + "Message").FirstOrDefault()?.Value ?? "";
        return (message.StartsWith(Prefix, StringComparison.Ordinal) ? message[Prefix.Length..] : message).Trim();
    }

    string Name(XElement result)
    {
        string name = result.Attribute("testName")!.Value;
        string owner = classes.GetValueOrDefault(result.Attribute("testId")!.Value, "");
        return name.StartsWith(owner, StringComparison.Ordinal) ? name : $"{owner}.{name}";
    }

    static bool IsPassed(XElement result) => Outcome(result) is "Passed" or "PassedButRunAborted" or "Warning";

    static bool IsSkipped(XElement result) =>
        Outcome(result) is "NotExecuted" or "Inconclusive" or "NotRunnable" or "Pending";

    static bool IsFailed(XElement result) => !IsPassed(result) && !IsSkipped(result);

    static string? Outcome(XElement result) => result.Attribute("outcome")?.Value;
}
