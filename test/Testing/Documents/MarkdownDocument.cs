
namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>
/// The fenced blocks of README.md and docs. Comments right before a block say <c>continued</c>, <c>compiled</c>,
/// <c>setup</c> with code, or <c>file: NAME</c>. A block <c>text</c> behind a C# block is what that prints.
/// </summary>
static class MarkdownDocument
{
    const string Fence = "```", CommentStart = "<!-- ", CommentEnd = "-->";

    /// <summary>README.md and every document under docs, by their paths from the repository's root.</summary>
    public static string[] All { get; } =
    [
        "README.md",
        .. Directory.GetFiles(Path.Combine(DotNetBuild.Root, "docs"), "*.md", SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(DotNetBuild.Root, path).Replace('\\', '/')).Order(StringComparer.Ordinal),
    ];

    public static List<CodeBlock> Blocks(string document) =>
        Parse(document, File.ReadAllLines(Path.Combine(DotNetBuild.Root, document)));

    public static List<CodeBlock> Parse(string document, string[] lines)
    {
        var blocks = new List<CodeBlock>();
        var comments = new List<string>();
        for (int i = 0; i < lines.Length; i++)
        {
            if (lines[i].StartsWith(CommentStart, StringComparison.Ordinal))
            {
                int end = Array.FindIndex(lines, i, line => line.EndsWith(CommentEnd, StringComparison.Ordinal));
                comments.Add(string.Join('\n', lines[i..(end + 1)])[CommentStart.Length..^CommentEnd.Length].Trim());
                i = end;
            }
            else if (lines[i].StartsWith(Fence, StringComparison.Ordinal))
            {
                int end = Array.IndexOf(lines, Fence, i + 1);
                Assert.IsTrue(end > i, $"{document}:{i + 1}: the fence is not closed.");
                string code = string.Join('\n', lines[(i + 1)..end]);
                Add(blocks, new CodeBlock(document, i + 2, lines[i][Fence.Length..], code), comments);
                comments.Clear();
                i = end;
            }
            else if (lines[i].Length > 0)
            {
                comments.Clear();
            }
        }
        return blocks;
    }

    static void Add(List<CodeBlock> blocks, CodeBlock block, List<string> comments)
    {
        if (block.Language == "text" && blocks.LastOrDefault() is { Language: "csharp", Output: null } before)
            blocks[^1] = before with { Output = block.Code };
        else
            blocks.Add(comments.Aggregate(block, With));
    }

    static CodeBlock With(CodeBlock block, string comment) => comment.Split([' ', '\n'], 2) switch
    {
        ["continued"] => block with { IsContinued = true },
        ["compiled"] => block with { IsCompiledOnly = true },
        ["setup", var code] => block with { Setup = code },
        ["file:", var name] => block with { FileName = name },
        _ => throw new InvalidDataException($"{block.Document}:{block.Line}: the comment '{comment}' is not known."),
    };
}
