namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>A fenced block of a document, with what is said about it.</summary>
/// <param name="Document">The document's path from the repository's root.</param>
/// <param name="Line">The number of the line behind the fence, from 1.</param>
/// <param name="Language">What stands behind the fence.</param>
/// <param name="Code">The lines between the fences.</param>
sealed record CodeBlock(string Document, int Line, string Language, string Code)
{
    /// <summary>Whether it goes on from the block before it: <c>&lt;!-- continued --&gt;</c>.</summary>
    public bool IsContinued { get; init; }

    /// <summary>Whether it is compiled and not run, for want of a device: <c>&lt;!-- compiled --&gt;</c>.</summary>
    public bool IsCompiledOnly { get; init; }

    /// <summary>Code that runs before it and is not shown: <c>&lt;!-- setup … --&gt;</c>.</summary>
    public string Setup { get; init; } = "";

    /// <summary>The file of a project of its own that it is: <c>&lt;!-- file: NAME --&gt;</c>.</summary>
    public string? FileName { get; init; }

    /// <summary>What it prints: the block <c>text</c> behind it, or null where none is shown.</summary>
    public string? Output { get; init; }
}
