using Microsoft.ML.BatchNorm.Tests.Build;

namespace Microsoft.ML.BatchNorm.Tests.Documents;

/// <summary>
/// The fenced blocks of README.md and docs. A comment right before a block says <c>continued</c>, <c>setup</c> with
/// code, or <c>file: NAME</c>. A block <c>text</c> behind a C# block is what that prints.
/// </summary>
static class MarkdownDocument
{
    const string Fence = "```", CommentStart = "<!-- ", CommentEnd = "-->";

    /// <summary>README.md and every document under docs, by their paths from the repository's root.</summary>
    public static string[] All { get; } =
    [
        "README.md",
        .. Directory.GetFiles(Path.Combine(DotNetBuild.Root, "docs"), "*.md").Order(StringComparer.Ordinal)
            .Select(path => $"docs/{Path.GetFileName(path)}"),
    ];

    public static List<CodeBlock> Blocks(string document) =>
        Parse(document, File.ReadAllLines(Path.Combine(DotNetBuild.Root, document)));

    public static List<CodeBlock> Parse(string document, string[] lines)
    {
        var blocks = new List<CodeBlock>();
        string comment = "";
        for (int i = 0; i < lines.Length; i++)
        {
            if (lines[i].StartsWith(CommentStart, StringComparison.Ordinal))
            {
                int end = Array.FindIndex(lines, i, line => line.EndsWith(CommentEnd, StringComparison.Ordinal));
                comment = string.Join('\n', lines[i..(end + 1)])[CommentStart.Length..^CommentEnd.Length].Trim();
                i = end;
            }
            else if (lines[i].StartsWith(Fence, StringComparison.Ordinal))
            {
                int end = Array.IndexOf(lines, Fence, i + 1);
                Assert.IsTrue(end > i, $"{document}:{i + 1}: the fence is not closed.");
                string code = string.Join('\n', lines[(i + 1)..end]);
                Add(blocks, new CodeBlock(document, i + 2, lines[i][Fence.Length..], code), comment);
                comment = "";
                i = end;
            }
            else if (lines[i].Length > 0)
            {
                comment = "";
            }
        }
        return blocks;
    }

    static void Add(List<CodeBlock> blocks, CodeBlock block, string comment)
    {
        if (block.Language == "text" && blocks.LastOrDefault() is { Language: "csharp", Output: null } before)
        {
            blocks[^1] = before with { Output = block.Code };
            return;
        }
        string[] parts = comment.Split([' ', '\n'], 2);
        blocks.Add(parts[0] switch
        {
            "" => block,
            "continued" => block with { IsContinued = true },
            "setup" => block with { Setup = parts[1] },
            "file:" => block with { FileName = parts[1] },
            _ => throw new InvalidDataException($"{block.Document}:{block.Line}: the comment '{parts[0]}' is not known."),
        });
    }
}
