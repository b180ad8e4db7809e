using System.Text;
using System.Text.RegularExpressions;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>A block and those that go on from it: one method of a class of its own.</summary>
/// <param name="blocks">The blocks, in the document's order.</param>
sealed partial class BlockChain(List<CodeBlock> blocks)
{
    public IReadOnlyList<CodeBlock> Blocks => blocks;

    /// <summary>Document and line: what a test calls it.</summary>
    public string Name => $"{blocks[0].Document}:{blocks[0].Line}";

    public string ClassName => NotInName().Replace(Name, "_");

    /// <summary>What its usings ask for beyond the core.</summary>
    public BlockNeed Need =>
        Uses("Microsoft.ML.BatchNorm.TorchSharp") ? BlockNeed.TorchSharp
        : Uses("Microsoft.ML.BatchNorm.Import") ? BlockNeed.Import
        : Uses("Microsoft.ML.BatchNorm.Mpi") ? BlockNeed.Mpi
        : Uses("Microsoft.ML") ? BlockNeed.ML
        : BlockNeed.None;

    /// <summary>Whether none of it is run.</summary>
    public bool IsCompiledOnly => blocks[0].IsCompiledOnly;

    /// <summary>The chains of the C# blocks that are no files.</summary>
    public static List<BlockChain> Of(IEnumerable<CodeBlock> all)
    {
        var chains = new List<List<CodeBlock>>();
        foreach (CodeBlock block in all.Where(block => block.Language == "csharp" && block.FileName is null))
        {
            if (block.IsContinued)
                chains[^1].Add(block);
            else
                chains.Add([block]);
        }
        return chains.ConvertAll(chain => new BlockChain(chain));
    }

    /// <summary>The chain as a file, whose errors are shown where the document has the code.</summary>
    public string ToSource()
    {
        StringBuilder usings = new(), body = new();
        for (int i = 0; i < blocks.Count; i++)
        {
            CodeBlock block = blocks[i];
            Append(usings, body, block.Setup, block.Line);
            Append(usings, body, block.Code, block.Line);
            body.AppendLine($"printed({i});");
        }
        return $$"""
            {{usings}}
            public static class {{ClassName}}
            {
                public static void Run(Action<int> printed)
                {
            {{body}}
                }
            }
            """;

        void Append(StringBuilder usings, StringBuilder body, string code, int line)
        {
            if (code.Length == 0)
                return;
            string[] lines = code.Split('\n');
            body.AppendLine($"#line {line} \"{blocks[0].Document}\"");
            foreach (string text in lines)
            {
                bool isUsing = Using().IsMatch(text);
                if (isUsing)
                    usings.AppendLine(text);
                body.AppendLine(isUsing ? "" : text);
            }
        }
    }

    bool Uses(string name) =>
        blocks.Exists(block => block.Code.Split('\n').Contains($"using {name};", StringComparer.Ordinal));

    [GeneratedRegex(@"^using (static |\w+ = )?[\w.]+;$")]
    private static partial Regex Using();

    [GeneratedRegex(@"\W+")]
    private static partial Regex NotInName();
}
