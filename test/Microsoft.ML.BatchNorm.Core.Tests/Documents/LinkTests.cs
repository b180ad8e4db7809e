using System.Text.RegularExpressions;

namespace Microsoft.ML.BatchNorm.Tests.Documents;

/// <summary>What the documents name exists: files, headings, messages.</summary>
[TestClass]
public partial class LinkTests
{
    static IEnumerable<object[]> Documents =>
        MarkdownDocument.All.Append("CONTRIBUTING.md").Append("CHANGELOG.md").Select(document => new object[] { document });

    [TestMethod]
    [DynamicData(nameof(Documents))]
    public void Links_lead_to_files_and_headings(string document)
    {
        string folder = Path.GetDirectoryName(Path.Combine(DotNetBuild.Root, document))!;
        foreach (Match match in Link().Matches(Text(document)))
        {
            string link = match.Groups["target"].Value;
            if (link.StartsWith("https://", StringComparison.Ordinal))
                continue;
            string[] parts = link.Split('#');
            string target = parts[0].Length == 0 ? document : Path.GetFullPath(Path.Combine(folder, parts[0]));
            Assert.IsTrue(Path.Exists(Path.Combine(DotNetBuild.Root, target)), $"{document}: {link}");
            if (parts.Length > 1)
                CollectionAssert.Contains(Anchors(target), parts[1], $"{document}: {link}");
        }
    }

    /// <summary>The page of messages quotes those that the code has.</summary>
    [TestMethod]
    public void Messages_of_the_troubleshooting_page_are_those_of_the_libraries()
    {
        string code = Joint().Replace(
            string.Concat(Directory.GetFiles(Path.Combine(DotNetBuild.Root, "src"), "*.cs", SearchOption.AllDirectories)
                .Where(path => !path.Contains("Samples", StringComparison.Ordinal)).Select(File.ReadAllText)),
            "");
        string[] messages =
        [
            .. Text("docs/troubleshooting.md").Split('\n').Where(line => line.StartsWith("| `", StringComparison.Ordinal)
                && !line.Contains("(from .NET)", StringComparison.Ordinal)
                && !line.Contains("(from NuGet)", StringComparison.Ordinal)).Select(line => line.Split('`')[1]),
        ];
        Assert.IsGreaterThan(20, messages.Length);
        string[] unknown =
        [
            .. messages.SelectMany(message => message.Split('…', '\'')).Select(part => part.Trim())
                .Where(part => !code.Contains(part, StringComparison.Ordinal)),
        ];
        Assert.IsEmpty(unknown, string.Join('\n', unknown));
    }

    static string Text(string document) => File.ReadAllText(Path.Combine(DotNetBuild.Root, document));

    static string[] Anchors(string document) =>
    [
        .. Text(document).Split('\n').Where(line => line.StartsWith('#')).Select(line =>
            NotInAnchor().Replace(line.TrimStart('#').Trim().ToLowerInvariant(), "").Replace(' ', '-')),
    ];

    [GeneratedRegex(@"\]\((?<target>[^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex NotInAnchor();

    /// <summary>Between two literals that are one text.</summary>
    [GeneratedRegex(@"""\)?\s*\+\s*(FormattableString\.Invariant\()?\$?""")]
    private static partial Regex Joint();
}
